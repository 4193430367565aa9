package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"
)

// An action is what a command does when its flags are read.
type action func(ctx context.Context, s *session, args []string) error

// A command is one entry of the table: something to do, or a group of verbs.
type command struct {
	name  string
	args  string // what follows the flags, such as "ID"; each word is one argument
	brief string // for the list of commands
	page  string // the name of its text of help; if empty, its own name
	// setup defines the flags, and returns what to do with them. It is nil for
	// a group.
	setup func(fs *flag.FlagSet) action
	verbs []command
}

// find walks down the table along args, up to a flag. It returns the names of the
// commands on the way, the last of them, and what is left of args.
func find(table []command, args []string) (path []string, cmd *command, rest []string, err error) {
	for rest = args; len(rest) > 0 && table != nil; {
		if cmd != nil && strings.HasPrefix(rest[0], "-") {
			break
		}
		var next *command
		for i := range table {
			if table[i].name == rest[0] {
				next = &table[i]
			}
		}
		if next == nil {
			return path, nil, rest, usageError("there is no command %s; see claviger help", quoted(rest[0]))
		}
		path, cmd, table, rest = append(path, next.name), next, next.verbs, rest[1:]
	}
	return path, cmd, rest, nil
}

func pathText(path []string) string { return strings.Join(path, " ") }

// newFlags returns a set of flags that prints nothing by itself.
func newFlags(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	return fs
}

// parseFlags reads the flags before the first argument. Its errors do not repeat
// values, since an argument in the wrong place may hold a password.
func parseFlags(fs *flag.FlagSet, args []string) error {
	err := fs.Parse(args)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return err
	}
	text := err.Error()
	switch end := strings.LastIndex(text, `" for `); {
	case end >= 0 && strings.HasPrefix(text, "invalid "):
		return usageError("invalid value for %s", wanted(fs, text[end+len(`" for `):]))
	case strings.HasPrefix(text, "bad flag syntax"):
		return usageError("bad flag syntax")
	case strings.HasPrefix(text, "flag provided but not defined: "):
		name := strings.TrimPrefix(text, "flag provided but not defined: -")
		return usageError("there is no flag %s", quoted("-"+name))
	}
	return usageError("%s", text)
}

// wanted returns what package flag says of the value of a flag, with words for people in
// place of "parse error".
func wanted(fs *flag.FlagSet, text string) string {
	name, ok := strings.CutSuffix(text, ": parse error")
	if !ok {
		return text
	}
	f := fs.Lookup(strings.TrimPrefix(strings.TrimPrefix(name, "flag "), "-"))
	switch f.Value.(flag.Getter).Get().(type) {
	case time.Duration:
		return name + ": want a time such as 30s or 2m"
	case bool:
		return name + ": want true or false"
	}
	return name + ": want a whole number"
}

// parseAll reads flags, which may also come after arguments, and returns the
// arguments. Everything after "--" is an argument.
func parseAll(fs *flag.FlagSet, args []string) (given []string, err error) {
	for {
		if err := parseFlags(fs, args); err != nil {
			return nil, err
		}
		read := args[:len(args)-fs.NArg()]
		if len(read) > 0 && read[len(read)-1] == "--" {
			return append(given, fs.Args()...), nil
		}
		if fs.NArg() == 0 {
			return given, nil
		}
		given = append(given, fs.Arg(0))
		args = fs.Args()[1:]
	}
}

// checkArgs returns an error unless there are as many arguments as the command takes.
// Arguments in brackets are optional.
func checkArgs(cmd *command, given []string) error {
	wanted := strings.Fields(cmd.args)
	least := 0
	for _, w := range wanted {
		if !strings.HasPrefix(w, "[") {
			least++
		}
	}
	switch {
	case len(given) < least:
		return usageError("%s is missing", wanted[len(given)])
	case len(given) > len(wanted) && !strings.HasSuffix(cmd.args, "…]"):
		return usageError("there are too many arguments; a credential goes to standard input")
	}
	return nil
}

// quoted returns text in quotes if it is a plain short word, and so holds no secret.
// Otherwise it returns words to use in its place.
func quoted(text string) string {
	for _, c := range text {
		if (c < 'a' || c > 'z') && c != '-' {
			return "of that name"
		}
	}
	if len(text) > 20 {
		return "of that name"
	}
	return fmt.Sprintf("%q", text)
}
