package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/claviger-auth/claviger/keys"
)

// isTerminal reports whether a file of the process is a terminal.
func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

var errNotConfirmed = errors.New("not confirmed, nothing was done")

// asks reports whether the operator is at a terminal and wants to be asked.
func (s *session) asks() bool { return !s.yes && isTerminal(s.stdin) && isTerminal(s.stderr) }

// confirm asks the operator to confirm something, if asks reports true. Otherwise it
// returns nil.
func (s *session) confirm(ctx context.Context, question string) error {
	if !s.asks() {
		return nil
	}
	fmt.Fprintf(s.stderr, "%s [y/N] ", plain(question))
	answer, err := bufio.NewReader(&interruptible{ctx, s.stdin}).ReadString('\n')
	if ctx.Err() != nil {
		fmt.Fprintln(s.stderr)
		return errNotConfirmed
	}
	if err != nil && err != io.EOF {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errNotConfirmed
}

// readSecret reads a credential from standard input. At a terminal it reads a line
// without an echo.
func (s *session) readSecret(ctx context.Context, what string) (string, error) {
	if isTerminal(s.stdin) {
		fd := int(s.stdin.(*os.File).Fd())
		shown, err := term.GetState(fd)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(s.stderr, "%s: ", what)
		line, err := awaited(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
		if ctx.Err() != nil {
			_ = term.Restore(fd, shown) // or the shell would not show what is typed
		}
		fmt.Fprintln(s.stderr)
		return string(bytes.TrimSpace(line)), err
	}
	text, err := io.ReadAll(io.LimitReader(&interruptible{ctx, s.stdin}, keys.MaxLen+1024))
	return string(bytes.TrimSpace(text)), err
}

var errInterrupted = errors.New("interrupted")

// awaited returns what read returns, which waits for somebody. If ctx ends first, as when
// the program is interrupted, it returns errInterrupted at once.
func awaited[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := read()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		return *new(T), errInterrupted
	}
}

// An interruptible is a reader whose calls end with ctx.
type interruptible struct {
	ctx context.Context
	in  io.Reader
}

func (r *interruptible) Read(p []byte) (int, error) {
	own := make([]byte, len(p)) // since a read that was left may still end
	n, err := awaited(r.ctx, func() (int, error) { return r.in.Read(own) })
	return copy(p, own[:n]), err
}
