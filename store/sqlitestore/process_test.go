package sqlitestore_test

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/sqlitestore"
)

// Other processes are this test binary, started with a role and a file.
const (
	roleVar = "SQLITESTORE_TEST_ROLE"
	pathVar = "SQLITESTORE_TEST_PATH"
)

// roles are what another process can do. It talks over its standard input and
// output, and ends when its input does.
var roles = map[string]func(path string, in *bufio.Scanner, out io.Writer) error{
	"opener":  openWhenTold,
	"checker": checkAndRevoke,
	"changer": changeLabels,
	"worker":  workUntilKilled,
}

func TestMain(m *testing.M) {
	role, ok := roles[os.Getenv(roleVar)]
	if !ok {
		// Tests often wait for the disk, so more of them run at once than there are
		// processors, unless the command line has another number.
		_ = flag.Set("test.parallel", "4")
		os.Exit(m.Run())
	}
	if err := role(os.Getenv(pathVar), bufio.NewScanner(os.Stdin), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A process is another process in a role.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// launch starts a process that is killed, if it still runs, when the test ends. With
// -short there are no other processes.
func launch(t *testing.T, role, path string) *process {
	t.Helper()
	if testing.Short() {
		t.Skip("it needs other processes")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(exe)}
	p.cmd.Env = append(os.Environ(), roleVar+"="+role, pathVar+"="+path)
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewScanner(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		_ = p.cmd.Wait()
	})
	return p
}

// ask writes a line and returns the next line of the answer.
func (p *process) ask(t *testing.T, line string) string {
	t.Helper()
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		t.Fatal(err)
	}
	return p.next(t)
}

func (p *process) next(t *testing.T) string {
	t.Helper()
	if !p.out.Scan() {
		t.Fatalf("the other process is gone: %v", p.out.Err())
	}
	return p.out.Text()
}

// openWhenTold opens the file when a line comes, makes a key, and says how that
// went.
func openWhenTold(path string, in *bufio.Scanner, out io.Writer) error {
	fmt.Fprintln(out, "ready")
	if !in.Scan() {
		return in.Err()
	}
	s, err := sqlitestore.Open(path, patient())
	if err != nil {
		fmt.Fprintln(out, err)
		return nil
	}
	manager, err := keys.NewManager(s, &keys.Options{Timeout: patience})
	if err != nil {
		return err
	}
	if _, err := manager.Create(ctx, "acme", keys.Spec{}); err != nil {
		fmt.Fprintln(out, err)
		return s.Close()
	}
	fmt.Fprintln(out, "ok")
	return s.Close()
}

// TestOpenAtOnce has eight processes find no file at the same time.
func TestOpenAtOnce(t *testing.T) {
	t.Parallel()
	const processes = 8
	for range rounds(5, 2, 1) {
		path := file(t)
		var all []*process
		for range processes {
			all = append(all, launch(t, "opener", path))
		}
		for _, p := range all {
			p.next(t) // ready
		}
		for _, p := range all {
			fmt.Fprintln(p.in, "go")
		}
		for _, p := range all {
			if answer := p.next(t); answer != "ok" {
				t.Errorf("one of %d processes: %s", processes, answer)
			}
		}
		s := open(t, path)
		page, err := s.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 100})
		if err != nil || len(page) != processes {
			t.Errorf("%d keys of %d processes, %v", len(page), processes, err)
		}
		alone := file(t)
		open(t, alone)
		want := schema(t, database(t, hostDSN(alone)))
		if got := schema(t, database(t, hostDSN(path))); got != want {
			t.Errorf("schema:\n%s\nwant:\n%s", got, want)
		}
	}
}

// A request is what a checker is asked for: to check a credential or, if there
// is an ID, to revoke it.
type request struct {
	Text, ID string
	Kind     keys.Kind
}

func checkAndRevoke(path string, in *bufio.Scanner, out io.Writer) error {
	s, err := sqlitestore.Open(path, patient())
	if err != nil {
		return err
	}
	manager, err := keys.NewManager(s, &keys.Options{Timeout: patience})
	if err != nil {
		return err
	}
	for in.Scan() {
		var r request
		if err := json.Unmarshal(in.Bytes(), &r); err != nil {
			return err
		}
		if r.ID != "" {
			fmt.Fprintln(out, manager.Revoke(ctx, "acme", r.Kind, r.ID))
			continue
		}
		_, err := manager.Verifier().Verify(ctx, r.Text)
		fmt.Fprintln(out, err)
	}
	return s.Close()
}

// TestRevocationIsSeenByOthers revokes in one process and checks in another, in
// both directions, keys and the clients of tokens.
func TestRevocationIsSeenByOthers(t *testing.T) {
	t.Parallel()
	path := file(t)
	manager, err := keys.NewManager(open(t, path), &keys.Options{Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	other := launch(t, "checker", path)
	here := map[bool]func(request) string{
		true: func(r request) string {
			if r.ID != "" {
				return fmt.Sprint(manager.Revoke(t.Context(), "acme", r.Kind, r.ID))
			}
			_, err := manager.Verifier().Verify(t.Context(), r.Text)
			return fmt.Sprint(err)
		},
		false: func(r request) string {
			line, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			return other.ask(t, string(line))
		},
	}
	for i := range rounds(100, 40, 20) {
		kind := keys.KindKey
		if i%4 < 2 {
			kind = keys.KindClient
		}
		id, text := credential(t, manager, kind)
		mine := i%2 == 0
		if got := here[!mine](request{Text: text}); got != "<nil>" {
			t.Fatalf("round %d: a live credential: %s", i, got)
		}
		if got := here[mine](request{ID: id, Kind: kind}); got != "<nil>" {
			t.Fatalf("round %d: revoking: %s", i, got)
		}
		if got := here[!mine](request{Text: text}); got != keys.ErrRevoked.Error() {
			t.Fatalf("round %d: after it was revoked in another process: %s", i, got)
		}
	}
}

// credential returns a new key, or a token and the ID of its client.
func credential(t *testing.T, manager *keys.Manager, kind keys.Kind) (id, text string) {
	t.Helper()
	issued, err := manager.Create(t.Context(), "acme", keys.Spec{Kind: kind})
	id, text = issued.Record.ID, issued.Text.Reveal()
	if err == nil && kind == keys.KindClient {
		issued, err = manager.IssueToken(t.Context(), issued.Record, issued.Record.Scopes, hour)
		text = issued.Text.Reveal()
	}
	if err != nil {
		t.Fatal(err)
	}
	return id, text
}

const (
	changers = 4   // processes
	changes  = 100 // by each of two goroutines of a process
)

// changeLabels adds to the label of one record, many times, by reading and then
// writing it.
func changeLabels(path string, in *bufio.Scanner, out io.Writer) error {
	s, err := sqlitestore.Open(path, patient())
	if err != nil {
		return err
	}
	defer s.Close()
	fmt.Fprintln(out, "ready")
	in.Scan()
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		wg.Go(func() {
			for range changes {
				if errs[i] = addOne(s); errs[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	fmt.Fprintln(out, errs[0], errs[1])
	return nil
}

// TestReadThenWrite makes 800 changes, each a read and a write that depends on
// it, in four processes at once. None fails because of another, and none is lost.
func TestReadThenWrite(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := open(t, path)
	r := record(t, keys.KindKey, "counter")
	r.RateLimit = 1
	insert(t, s, r)
	var all []*process
	for range changers {
		p := launch(t, "changer", path)
		p.next(t) // ready
		all = append(all, p)
	}
	for _, p := range all {
		fmt.Fprintln(p.in, "go")
	}
	for _, p := range all {
		if answer := p.next(t); answer != "<nil> <nil>" {
			t.Errorf("a process: %s", answer)
		}
	}
	got, _, err := s.Get(t.Context(), "counter")
	if err != nil {
		t.Fatal(err)
	}
	if want := 1 + changers*2*changes; got.RateLimit != want || got.Version != int64(want) {
		t.Errorf("limit %d, version %d after all changes, want %d", got.RateLimit, got.Version, want)
	}
}
