package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// buildBegun is set before built is called.
var buildBegun atomic.Bool

// built returns the program as go build makes it.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "claviger-program")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "claviger")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// program returns a command that runs the program, with the flags that name the
// store of h. In short tests it is the program of the test, which does the same.
func (h *host) program(args ...string) *exec.Cmd {
	h.t.Helper()
	args = append([]string{"-store-file", h.path("store.url"), "-config", h.path("config.json")}, args...)
	path := os.Args[0]
	if !testing.Short() {
		buildBegun.Store(true)
		var err error
		if path, err = built(); err != nil {
			h.t.Fatal(err)
		}
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), programVar+"=yes", "CLAVIGER_AS=anna", "CLAVIGER_CONFIG=", "CLAVIGER_STORE=")
	return cmd
}

// TestProgram leads a key through its life by the program itself.
func TestProgram(t *testing.T) {
	onStores(t, func(t *testing.T, h *host) {
		step := func(code int, stdin string, args ...string) result {
			t.Helper()
			var out, errs bytes.Buffer
			cmd := h.program(args...)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
			_ = cmd.Run() // the exit code says it all
			h.out.Write(out.Bytes())
			h.err.Write(errs.Bytes())
			if got := cmd.ProcessState.ExitCode(); got != code {
				t.Fatalf("claviger %v: exit code %d, want %d\n%s%s", args, got, code, out.String(), errs.String())
			}
			return result{code, out.String(), errs.String()}
		}
		step(exitDone, "", "migrate")
		step(exitDone, "", "check")
		made := step(exitDone, "", "keys", "create", "-org", "acme")
		secret := strings.TrimSuffix(made.out, "\n")
		h.secrets = append(h.secrets, secret)
		id, _, _ := strings.Cut(secret, ".")
		if strings.Contains(secret, "\n") || !strings.Contains(made.err, id) || !strings.Contains(made.err, "made by cli:anna") {
			t.Errorf("%q, %q", made.out, made.err)
		}
		step(exitDone, made.out, "verify")
		step(exitDone, "", "revoke", id)
		step(exitRefused, made.out, "verify")
		step(exitNotFound, "", "show", id+"x")
		step(exitUsage, "", "show")
	})
}

// TestOutputIsLost has a standard output that is closed, and one that keeps nothing. No
// credential is made or rotated, since nobody would get its secret.
func TestOutputIsLost(t *testing.T) {
	t.Parallel()
	h := sqliteHost(t)
	h.must(exitDone, "migrate")
	id, secret := h.create("keys", "create", "-org", "acme")
	for _, where := range []string{">&-", ">/dev/null"} {
		for _, args := range [][]string{
			{"keys", "create", "-org", "acme"},
			{"clients", "create", "-org", "acme", "-json"},
			{"orgs", "create", "globex"},
			{"rotate", id, "-overlap", "0"},
		} {
			cmd := h.program(args...)
			cmd.Args = append([]string{"sh", "-c", `"$0" "$@" ` + where, cmd.Path}, cmd.Args[1:]...)
			var err error
			if cmd.Path, err = exec.LookPath("sh"); err != nil {
				t.Fatal(err)
			}
			var errs bytes.Buffer
			cmd.Stderr = &errs
			_ = cmd.Run() // the exit code says it all
			if code := cmd.ProcessState.ExitCode(); code != exitUsage || !strings.Contains(errs.String(), "the secret would be lost") {
				t.Errorf("%v %s: exit code %d: %s", args, where, code, errs.String())
			}
		}
	}
	if out := h.must(exitDone, "stats").out; !strings.Contains(out, "1 organization  1 ") {
		t.Errorf("something was made:\n%s", out)
	}
	if got := h.verify(secret); got != "good" {
		t.Errorf("the key is %s", got)
	}
}

// TestReaderGone has a standard output whose reader has gone. The program does not end
// at its first write, as other programs do, since nobody would know of the key.
func TestReaderGone(t *testing.T) {
	t.Parallel()
	h := sqliteHost(t)
	h.must(exitDone, "migrate")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	var errs bytes.Buffer
	cmd := h.program("keys", "create", "-org", "acme", "-json")
	cmd.Stdout, cmd.Stderr = w, &errs
	_ = cmd.Run() // the exit code says it all
	if code := cmd.ProcessState.ExitCode(); code != exitFailure || !strings.Contains(errs.String(), "its secret could not be written") {
		t.Errorf("exit code %d, %s: %s", code, cmd.ProcessState, errs.String())
	}
}
