package sqlstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/examples/sqlstore"
	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
)

const (
	processes = 3
	changes   = 30 // of one record, by each process
	burst     = 100
)

// Processes that are a part of [TestProcesses] find in their environment where the
// database is, and which record is shared.
const (
	fileEnv = "SQLSTORE_DATABASE"
	keyEnv  = "SQLSTORE_KEY"
)

var sharedBucket = ratelimit.Bucket{Name: "acme"}

func TestMain(m *testing.M) {
	if file := os.Getenv(fileEnv); file != "" {
		if err := child(context.Background(), file, os.Getenv(keyEnv)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// child changes the shared record and empties the shared bucket, and prints how many
// requests it was admitted.
func child(ctx context.Context, file, key string) error {
	db, err := openDatabase(file)
	if err != nil {
		return err
	}
	defer db.Close()
	s, err := sqlstore.New(ctx, db)
	if err != nil {
		return err
	}
	for n := 0; n < changes; {
		rec, _, err := s.Get(ctx, key)
		if err != nil {
			return err
		}
		rec.Label += "x"
		switch err := s.Update(ctx, rec); {
		case err == nil:
			n++
		case !errors.Is(err, keys.ErrConflict):
			return err
		}
	}
	admitted := 0
	for range burst {
		d, err := s.Take(ctx, sharedBucket, ratelimit.MustPer(1, time.Hour, burst), time.Now(), 1)
		if err != nil {
			return err
		}
		if d.Allowed {
			admitted++
		}
	}
	fmt.Println(admitted)
	return nil
}

// Processes share records, of which no change is lost, and limits, of which none is
// exceeded.
func TestProcesses(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "shared.db")
	s := open(t, file)
	manager, err := keys.NewManager(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := manager.Create(t.Context(), "acme", keys.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	var children [processes]*exec.Cmd
	var outputs, complaints [processes]bytes.Buffer
	for i := range children {
		c := exec.CommandContext(t.Context(), os.Args[0])
		c.Env = append(os.Environ(), fileEnv+"="+file, keyEnv+"="+key.Record.ID)
		c.Stdout, c.Stderr = &outputs[i], &complaints[i]
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		children[i] = c
	}
	admitted := 0
	for i, c := range children {
		if err := c.Wait(); err != nil {
			t.Fatalf("process %d: %v: %s", i, err, &complaints[i])
		}
		var n int
		if _, err := fmt.Sscan(outputs[i].String(), &n); err != nil {
			t.Fatal(err)
		}
		admitted += n
	}
	if admitted != burst {
		t.Errorf("%d requests admitted, want %d", admitted, burst)
	}
	got, _, err := s.Get(t.Context(), key.Record.ID)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Repeat("x", processes*changes); got.Label != want {
		t.Errorf("%d changes are in the record, want %d", len(got.Label), len(want))
	}
}
