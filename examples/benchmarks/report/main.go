// Report reads the output of the benchmarks, one run or several, and writes
// tables in GitHub's Markdown:
//
//	for i in $(seq 10); do GOWORK=off go test -run '^$' -bench . -benchtime 200ms .; done | tee bench.out
//	GOWORK=off go run ./report <bench.out
//
// With -full or -readme it writes all tables, or the short one, into a file,
// between the lines
//
//	<!-- benchmarks: begin -->
//	<!-- benchmarks: end -->
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	readme := flag.String("readme", "", "put the short table into `file`")
	full := flag.String("full", "", "put all tables into `file`")
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(os.Stdin, os.Stdout, *readme, *full); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer, readme, full string) error {
	r, err := parse(in)
	if err != nil {
		return err
	}
	if readme == "" && full == "" {
		_, err = io.WriteString(out, r.full())
		return err
	}
	for file, section := range map[string]func() string{readme: r.short, full: r.full} {
		if file != "" {
			err = errors.Join(err, replaceIn(file, section()))
		}
	}
	return err
}

const (
	beginMark = "<!-- benchmarks: begin -->\n"
	endMark   = "<!-- benchmarks: end -->\n"
)

// replace returns text with everything between its marks replaced by section.
func replace(text, section string) (string, error) {
	before, rest, found1 := strings.Cut(text, beginMark)
	_, after, found2 := strings.Cut(rest, endMark)
	if !found1 || !found2 || strings.Contains(after, beginMark) {
		return "", fmt.Errorf("not one section between %q and %q", strings.TrimSpace(beginMark), strings.TrimSpace(endMark))
	}
	return before + beginMark + section + endMark + after, nil
}

func replaceIn(file, section string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	text, err := replace(string(old), section)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(text), 0o666)
}
