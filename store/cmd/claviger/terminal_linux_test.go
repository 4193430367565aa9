package main

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/claviger-auth/claviger/keys"
)

// A terminal is a program that has a terminal for its standard input and its
// standard error.
type terminal struct {
	t      *testing.T
	cmd    *exec.Cmd
	master *os.File
	out    bytes.Buffer // standard output
	shown  string       // what was seen on the terminal
}

func (h *host) terminal(t *testing.T, args ...string) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	x := &terminal{t: t, cmd: h.program(args...), master: master}
	x.cmd.Stdin, x.cmd.Stdout, x.cmd.Stderr = slave, &x.out, slave
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := x.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return x
}

// await reads what the terminal shows, until it shows text.
func (x *terminal) await(text string) {
	x.t.Helper()
	b := make([]byte, 4096)
	for !strings.Contains(x.shown, text) {
		n, err := x.master.Read(b)
		x.shown += string(b[:n])
		if err != nil {
			x.t.Fatalf("%v; shown: %q", err, x.shown)
		}
	}
}

// interrupt is what somebody types who wants to end the program. The terminal is not the
// one that controls the program, so write sends the signal itself.
const interrupt = "\x03"

func (x *terminal) write(text string) {
	x.t.Helper()
	if text == interrupt {
		if err := x.cmd.Process.Signal(os.Interrupt); err != nil {
			x.t.Fatal(err)
		}
		return
	}
	if _, err := x.master.WriteString(text); err != nil {
		x.t.Fatal(err)
	}
}

// end waits for the program, and returns its exit code.
func (x *terminal) end() int {
	x.t.Helper()
	b := make([]byte, 4096)
	for {
		n, err := x.master.Read(b) // ends with an error when the program does
		x.shown += string(b[:n])
		if err != nil {
			break
		}
	}
	_ = x.cmd.Wait()
	return x.cmd.ProcessState.ExitCode()
}

// TestConfirms ends nothing at a terminal before somebody has said yes.
func TestConfirms(t *testing.T) {
	t.Parallel()
	h := sqliteHost(t)
	h.must(exitDone, "migrate")
	id, secret := h.create("keys", "create", "-org", "acme")
	s := h.session()
	child, err := s.manager.As(principal(t, s, secret)).Create(t.Context(), keys.Spec{Label: "a child"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args     []string
		question string
	}{
		{[]string{"revoke", id, "-descendants"}, "End " + id + " of acme, and everything that was made by it? [y/N] "},
		{[]string{"orgs", "revoke", "acme"}, "End all keys and clients of acme? [y/N] "},
		{[]string{"orgs", "pause", "acme"}, "Pause all keys and clients of acme? [y/N] "},
		{[]string{"sweep"}, "[y/N] "},
	} {
		for _, answer := range []string{"n\n", "\n", "\x04", interrupt} { // \x04 is the end of the input
			x := h.terminal(t, tt.args...)
			x.await(tt.question)
			x.write(answer)
			if code := x.end(); code != exitFailure || !strings.Contains(x.shown, "not confirmed") || x.out.Len() > 0 {
				t.Errorf("%v, %q: exit code %d: %s%s", tt.args, answer, code, x.shown, x.out.String())
			}
		}
		if got := h.verify(secret); got != "good" {
			t.Fatalf("%v: the key is %s", tt.args, got)
		}
	}
	x := h.terminal(t, "revoke", id, "-descendants")
	x.await("[y/N] ")
	if !strings.Contains(x.shown, child.Record.ID+"  live  a child  made by "+id+"\r\n") {
		t.Errorf("it is not said what ends: %s", x.shown)
	}
	x.write("y\n")
	if code := x.end(); code != exitDone || h.verify(secret) != "revoked" {
		t.Errorf("yes: exit code %d: %s", code, x.shown)
	}
	x = h.terminal(t, "sweep", "-yes")
	x.write("\x04") // for a program that asks all the same
	if code := x.end(); code != exitDone || strings.Contains(x.shown, "[y/N]") {
		t.Errorf("-yes: exit code %d: %s", code, x.shown)
	}
	if !strings.Contains(x.shown, "\r\x1b[K0 tokens and 0 buckets removed\r\n") {
		t.Errorf("no progress: %q", x.shown)
	}
}

// TestTypedSecretIsNotShown types a key at a terminal.
func TestTypedSecretIsNotShown(t *testing.T) {
	t.Parallel()
	h := sqliteHost(t)
	h.must(exitDone, "migrate")
	_, secret := h.create("keys", "create", "-org", "acme")
	x := h.verifyHidden(t)
	x.write(interrupt)
	if code := x.end(); code != exitFailure || !strings.Contains(x.shown, "claviger: interrupted") || !echoes(t, x.master) {
		t.Errorf("interrupted: exit code %d: %s; the terminal shows what is typed: %t", code, x.shown, echoes(t, x.master))
	}
	x = h.verifyHidden(t)
	x.write(secret + "\n")
	if code := x.end(); code != exitDone || !strings.Contains(x.out.String(), "good") {
		t.Errorf("exit code %d: %s%s", code, x.shown, x.out.String())
	}
	if strings.Contains(x.shown, secret[len(secret)-10:]) {
		t.Errorf("the key is shown: %q", x.shown)
	}
}

// verifyHidden returns a program that waits for a credential, on a terminal that does not
// show what is typed.
func (h *host) verifyHidden(t *testing.T) *terminal {
	t.Helper()
	x := h.terminal(t, "verify")
	x.await("Credential: ")
	for try := 0; echoes(t, x.master); try++ { // the program turns that off just after it has asked
		if try == 10_000 {
			_ = x.cmd.Process.Kill()
			t.Fatal("the terminal shows what is typed")
		}
		time.Sleep(time.Millisecond) // the program has its own clock
	}
	return x
}

// echoes reports whether a terminal shows what is typed.
func echoes(t *testing.T, master *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(master.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}
