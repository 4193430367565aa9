package pgstore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store/pgstore"
)

// The test binary runs itself as other processes of the host's. These variables
// say which role it is to play, and where.
const (
	roleVar   = "CLAVIGER_PGSTORE_ROLE"
	serverVar = "CLAVIGER_PGSTORE_SERVER"
	schemaVar = "CLAVIGER_PGSTORE_SCHEMA"
)

// roles are what a process can do. They write one line for each step that was
// acknowledged to them, in one write, and end when their input does.
var roles = map[string]func(context.Context, *pgstore.Store, *bufio.Scanner) error{
	"migrate": migrateRole,
	"write":   writeRole,
	"verify":  verifyRole,
	"take":    takeRole,
}

// child plays a role and returns the exit code.
func child(role string) int {
	ctx := context.Background()
	err := func() error {
		pool, err := pgxpool.New(ctx, os.Getenv(serverVar))
		if err != nil {
			return err
		}
		defer pool.Close()
		s, err := pgstore.New(pool, &pgstore.Options{Schema: os.Getenv(schemaVar)})
		if err != nil {
			return err
		}
		if err := pool.Ping(ctx); err != nil {
			return err
		}
		return roles[role](ctx, s, bufio.NewScanner(os.Stdin))
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, role, err)
		return 1
	}
	return 0
}

// migrateRole migrates at each line, so that all processes begin together.
func migrateRole(ctx context.Context, s *pgstore.Store, in *bufio.Scanner) error {
	fmt.Println("ready")
	for in.Scan() {
		pool, err := pgxpool.New(ctx, os.Getenv(serverVar))
		if err != nil {
			return err
		}
		defer pool.Close()
		if err := pgstore.Migrate(ctx, pool, &pgstore.Options{Schema: os.Getenv(schemaVar)}); err != nil {
			return err
		}
		if err := s.Check(ctx); err != nil {
			return err
		}
		fmt.Println("done")
	}
	return in.Err()
}

// writeRole makes keys, and revokes every other one, until it is killed.
func writeRole(ctx context.Context, s *pgstore.Store, _ *bufio.Scanner) error {
	m, err := keys.NewManager(s, &keys.Options{Trail: true, Timeout: patience})
	if err != nil {
		return err
	}
	org := "org " + strconv.Itoa(os.Getpid())
	for i := 0; ; i++ {
		issued, err := m.Create(ctx, org, keys.Spec{Label: strconv.Itoa(i)})
		if err != nil {
			return err
		}
		fmt.Printf("made %s\n", issued.Text.Reveal())
		if i%2 == 1 {
			if err := m.Revoke(ctx, org, keys.KindKey, issued.Record.ID); err != nil {
				return err
			}
			fmt.Printf("revoked %s\n", issued.Text.Reveal())
		}
	}
}

// verifyRole answers each credential with what it is.
func verifyRole(ctx context.Context, s *pgstore.Store, in *bufio.Scanner) error {
	v, err := keys.NewVerifier(s, &keys.Options{Timeout: patience})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for in.Scan() {
		_, err := v.Verify(ctx, in.Text())
		fmt.Println(verdict(err))
	}
	return in.Err()
}

// verdict returns a check's result as one word.
func verdict(err error) string {
	for word, is := range map[string]error{
		"unknown": keys.ErrUnknown, "mismatch": keys.ErrMismatch, "revoked": keys.ErrRevoked, "unavailable": keys.ErrUnavailable,
	} {
		if errors.Is(err, is) {
			return word
		}
	}
	if err != nil {
		return err.Error()
	}
	return "good"
}

// takeRole takes as often as each line says, from several goroutines, and
// answers how many were admitted.
func takeRole(ctx context.Context, s *pgstore.Store, in *bufio.Scanner) error {
	l, err := ratelimit.NewLimit(1.0/86400, sharedBurst)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for in.Scan() {
		n, err := strconv.Atoi(in.Text())
		if err != nil {
			return err
		}
		var wg sync.WaitGroup
		var admitted, failures atomic.Int64
		for range 4 {
			wg.Go(func() {
				for range n {
					d, err := s.Take(ctx, bucket("shared"), l, now, 1)
					if err != nil {
						failures.Add(1)
					}
					if d.Allowed {
						admitted.Add(1)
					}
				}
			})
		}
		wg.Wait()
		if failures.Load() > 0 {
			return fmt.Errorf("%d takes failed", failures.Load())
		}
		fmt.Println(admitted.Load())
	}
	return in.Err()
}

// A process is one that plays a role.
type process struct {
	t   testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	err strings.Builder
}

// play starts a process on a server and a schema. It is killed at the end of
// the test. With -short there are no other processes.
func play(t testing.TB, role, dsn, schema string) *process {
	t.Helper()
	if testing.Short() {
		t.Skip("it needs other processes")
	}
	p := &process{t: t, cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), roleVar+"="+role, serverVar+"="+dsn, schemaVar+"="+schema)
	p.cmd.Stderr = &p.err
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in, p.out = in, bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
	return p
}

// read returns the next line that the process wrote.
func (p *process) read() string {
	p.t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		_ = p.cmd.Wait()
		p.t.Fatalf("process: %v: %s", err, p.err.String())
	}
	return strings.TrimSuffix(line, "\n")
}

// write writes a line to the process.
func (p *process) write(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		p.t.Fatal(err)
	}
}

// end ends the input of the process and fails unless it ends well.
func (p *process) end() {
	p.t.Helper()
	_ = p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("process: %v: %s", err, p.err.String())
	}
}

// kill kills the process and returns the lines that it still wrote whole.
func (p *process) kill() []string {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	rest, err := io.ReadAll(p.out)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = p.cmd.Wait() // says that it was killed
	lines := strings.Split(string(rest), "\n")
	return lines[:len(lines)-1]
}
