package main

import (
	"bytes"
	"context"
	"embed"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// texts are what help says beside what the table of commands says: of each command
// what it does, and examples, which a test runs.
//
//go:embed help/*.txt
var texts embed.FS

func helpCommand() command {
	return command{
		name: "help", args: "[COMMAND…]", brief: "this, or the page of a command, or of config",
		setup: func(*flag.FlagSet) action {
			return func(_ context.Context, s *session, args []string) error { return s.help(s.stdout, args) }
		},
	}
}

// help prints the page of a command, or of the program if path is empty.
func (s *session) help(w io.Writer, path []string) error {
	b := new(bytes.Buffer)
	page := "claviger"
	switch {
	case len(path) == 0:
		writeOverview(b)
	case len(path) == 1 && path[0] == "config":
		page = "config"
	default:
		names, cmd, rest, err := find(commands(), path)
		if err == nil && len(rest) > 0 {
			err = usageError("there is no command of that name; see claviger help")
		}
		if err != nil {
			return err
		}
		writeCommand(b, names, cmd)
		if page = names[0]; cmd.page != "" && len(names) == 1 {
			page = cmd.page
		}
	}
	text, err := fs.ReadFile(texts, "help/"+page+".txt")
	if err != nil {
		return err
	}
	b.Write(text)
	_, err = b.WriteTo(w)
	return err
}

// writeCommand writes what the table says of a command, or of a group.
func writeCommand(w io.Writer, names []string, cmd *command) {
	fmt.Fprintf(w, "NAME\n    claviger %s - %s\n\nSYNOPSIS\n", pathText(names), cmd.brief)
	if cmd.verbs == nil {
		writeSynopsis(w, names, cmd)
		fmt.Fprintln(w)
		if flags := new(bytes.Buffer); writeFlags(flags, cmd) {
			fmt.Fprintf(w, "OPTIONS\n%s\n", flags)
		}
		return
	}
	for i := range cmd.verbs {
		writeSynopsis(w, append(names, cmd.verbs[i].name), &cmd.verbs[i])
	}
	for i := range cmd.verbs {
		v := &cmd.verbs[i]
		fmt.Fprintf(w, "\n%s\n    %s.\n", strings.ToUpper(v.name), capital(v.brief))
		writeFlags(w, v)
	}
	fmt.Fprintln(w)
}

// writeOverview writes what the table says of the program.
func writeOverview(w io.Writer) {
	fmt.Fprint(w, "NAME\n    claviger - the command line of those who run a host\n\n"+
		"SYNOPSIS\n    claviger [OPTION]… COMMAND [OPTION]… [ARGUMENT]\n\nCOMMANDS\n")
	t := newTable(w)
	for _, c := range commands() {
		t.row("    "+c.name, c.brief)
	}
	t.end()
	fmt.Fprint(w, "\nOPTIONS\n")
	fs := newFlags("claviger")
	(&settings{timeout: defaultTimeout}).register(fs)
	fs.VisitAll(func(f *flag.Flag) { writeFlag(w, f) })
	fmt.Fprintln(w)
}

// width is where lines of a synopsis end.
const width = 100

func writeSynopsis(w io.Writer, path []string, cmd *command) {
	line := "    claviger " + pathText(path)
	add := func(word string) {
		if len(line)+len(word) >= width {
			fmt.Fprintln(w, line)
			line = "       "
		}
		line += " " + word
	}
	fs := newFlags(cmd.name)
	cmd.setup(fs)
	fs.VisitAll(func(f *flag.Flag) {
		value, _ := flag.UnquoteUsage(f)
		add(strings.TrimSpace("[-"+f.Name+" "+strings.ToUpper(value)) + "]")
	})
	if cmd.args != "" {
		add(cmd.args)
	}
	fmt.Fprintln(w, line)
}

// writeFlags writes the flags of a command, and reports whether there are any.
func writeFlags(w io.Writer, cmd *command) (some bool) {
	fs := newFlags(cmd.name)
	cmd.setup(fs)
	fs.VisitAll(func(f *flag.Flag) {
		writeFlag(w, f)
		some = true
	})
	return some
}

func writeFlag(w io.Writer, f *flag.Flag) {
	value, usage := flag.UnquoteUsage(f)
	if value != "" {
		value = " " + strings.ToUpper(value)
	}
	if d := f.DefValue; d != "" && d != "0" && d != "false" && !strings.Contains(usage, "(default") {
		usage += " (default " + d + ")"
	}
	fmt.Fprintf(w, "    -%s%s\n        %s\n", f.Name, value, capital(usage))
}

func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
