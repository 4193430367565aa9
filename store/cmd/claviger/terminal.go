package main

import (
	"bufio"
	"bytes"
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
func (s *session) confirm(question string) error {
	if !s.asks() {
		return nil
	}
	fmt.Fprintf(s.stderr, "%s [y/N] ", plain(question))
	answer, err := bufio.NewReader(s.stdin).ReadString('\n')
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
func (s *session) readSecret(what string) (string, error) {
	if isTerminal(s.stdin) {
		fmt.Fprintf(s.stderr, "%s: ", what)
		line, err := term.ReadPassword(int(s.stdin.(*os.File).Fd()))
		fmt.Fprintln(s.stderr)
		return string(bytes.TrimSpace(line)), err
	}
	text, err := io.ReadAll(io.LimitReader(s.stdin, keys.MaxLen+1024))
	return string(bytes.TrimSpace(text)), err
}
