package sqlitestore_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"syscall"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/sqlitestore"
)

func init() { roles["squeezed"] = writeUntilRefused }

// writeUntilRefused has the system refuse writes beyond a size of files that the
// next commits soon reach, in the middle of a transaction, and later allow them
// again. It reports each key that was acknowledged, and then "refused".
func writeUntilRefused(path string, _ *bufio.Scanner, out io.Writer) error {
	s, err := sqlitestore.Open(path, nil)
	if err != nil {
		return err
	}
	manager, err := keys.NewManager(s, nil)
	if err != nil {
		return err
	}
	report := json.NewEncoder(out)
	create := func() error {
		issued, err := manager.Create(ctx, "acme", keys.Spec{})
		if err == nil {
			err = report.Encode(issued.Text.Reveal())
		}
		return err
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	free := limit.Cur
	for _, size := range []uint64{100_000, 150_001, 202_345} {
		limit.Cur = size
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			return err
		}
		for err = nil; err == nil; {
			err = create()
		}
		if verdict(err) {
			return fmt.Errorf("a write that was refused: %w", err)
		}
		if err := report.Encode("refused"); err != nil {
			return err
		}
		limit.Cur = free
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			return err
		}
		if err := create(); err != nil {
			return fmt.Errorf("when writes were allowed again: %w", err)
		}
	}
	return s.Close()
}

// TestWritesRefused has the system itself refuse to write, as it does when a disk
// is full or breaks. No key that was acknowledged is lost.
func TestWritesRefused(t *testing.T) {
	t.Parallel()
	path := file(t)
	p := launch(t, "squeezed", path)
	var texts []string
	refused := 0
	for p.out.Scan() {
		var text string
		if err := json.Unmarshal(p.out.Bytes(), &text); err != nil {
			t.Fatal(err)
		}
		if text == "refused" {
			refused++
			continue
		}
		texts = append(texts, text)
	}
	if err := p.cmd.Wait(); err != nil || refused != 3 {
		t.Fatalf("refused %d times, want 3; %v", refused, err)
	}
	s := open(t, path)
	verifier, err := keys.NewVerifier(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		if _, err := verifier.Verify(t.Context(), text); err != nil {
			t.Errorf("a key that was acknowledged: %v", err)
		}
	}
	var whole string
	db := database(t, hostDSN(path))
	if err := db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&whole); err != nil || whole != "ok" {
		t.Errorf("integrity_check: %s, %v", whole, err)
	}
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM claviger_records").Scan(&n); err != nil || n != len(texts) {
		t.Errorf("%d records, want %d; %v", n, len(texts), err)
	}
}
