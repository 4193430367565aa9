package sqlstore_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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

// child changes the shared record, and says so. When its input ends, it empties the
// shared bucket, and prints how many requests it was admitted.
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
	fmt.Println("ready")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
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

// A process is a running [child].
type process struct {
	input  io.Closer
	output *bufio.Scanner
	errors bytes.Buffer
}

// start starts a process that ends with the test.
func start(t *testing.T, file, key string) *process {
	t.Helper()
	p := new(process)
	c := exec.Command(os.Args[0])
	c.Env, c.Stderr = append(os.Environ(), fileEnv+"="+file, keyEnv+"="+key), &p.errors
	input, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		input.Close()
		if err := c.Wait(); err != nil {
			t.Errorf("%v: %s", err, &p.errors)
		}
	})
	p.input, p.output = input, bufio.NewScanner(output)
	return p
}

// line returns the next line that p prints.
func (p *process) line(t *testing.T) string {
	t.Helper()
	if !p.output.Scan() {
		t.Fatalf("a process has ended: %v", p.output.Err())
	}
	return p.output.Text()
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
	var children [processes]*process
	for i := range children {
		children[i] = start(t, file, key.Record.ID)
	}
	for _, c := range children {
		if got := c.line(t); got != "ready" {
			t.Fatalf("a process prints %q, want %q", got, "ready")
		}
	}
	admitted := 0
	for _, c := range children {
		c.input.Close()
	}
	for _, c := range children {
		n, err := strconv.Atoi(c.line(t))
		if err != nil {
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
