// Claviger is the command line for those who run a host. It sets up the store and
// checks it, and makes, shows, changes and ends credentials.
//
//	claviger -store postgres://app@db/app check
//
// Run "claviger help" for all that it can do. README.md in this folder shows how to
// set up a host over PostgreSQL from nothing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run runs the program with its arguments, and returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	s := &session{stdin: stdin, stdout: &output{w: stdout}, stderr: stderr, settings: settings{timeout: defaultTimeout}}
	err := s.run(ctx, args)
	if closing := s.close(); err == nil {
		err = closing
	}
	if err == nil && s.stdout.err != nil {
		err = fmt.Errorf("writing the output: %w", s.stdout.err)
	}
	if err != nil && !errors.Is(err, errSilent) {
		for line := range strings.Lines(err.Error()) { // one for each of several errors
			fmt.Fprintln(stderr, "claviger:", plain(strings.TrimSuffix(line, "\n")))
		}
	}
	return exitCode(err)
}

// run finds the command that the arguments name, and runs it.
func (s *session) run(ctx context.Context, args []string) error {
	top := newFlags("claviger")
	s.register(top)
	if err := parseFlags(top, args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return s.help(s.stdout, nil)
		}
		return err
	}
	path, cmd, rest, err := find(commands(), top.Args())
	for err == nil && cmd != nil && cmd.setup == nil && len(rest) > 0 { // flags after a group
		fs := newFlags(cmd.name)
		s.register(fs)
		if err := parseFlags(fs, rest); errors.Is(err, flag.ErrHelp) {
			return s.help(s.stdout, path)
		} else if err != nil {
			return fmt.Errorf("%w; see claviger help %s", err, pathText(path))
		}
		var below []string
		below, cmd, rest, err = find(cmd.verbs, fs.Args())
		path = append(path, below...)
	}
	if err != nil {
		return err
	}
	if cmd == nil || cmd.setup == nil { // nothing, or a group without a verb
		_ = s.help(s.stderr, path)
		return errSilentUsage
	}
	fs := newFlags(cmd.name)
	s.register(fs)
	act := cmd.setup(fs)
	given, err := parseAll(fs, rest)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return s.help(s.stdout, path)
	case err != nil:
		return fmt.Errorf("%w; see claviger help %s", err, pathText(path))
	}
	if err := checkArgs(cmd, given); err != nil {
		return fmt.Errorf("%w; see claviger help %s", err, pathText(path))
	}
	return act(s.context(ctx), s, given)
}

// An output remembers the first error of writing to it.
type output struct {
	w   io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if o.err == nil {
		o.err = err
	}
	return n, err
}
