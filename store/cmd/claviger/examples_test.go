package main

import (
	"bytes"
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the outputs of the examples anew")

// prompt begins a line of an example that is a command. The lines after it, up to
// the next command or an empty line, are what it prints.
const prompt = "        $ "

// TestExamples runs the examples of every page of help, and compares what they print
// with the page. The clock and the random numbers are the test's.
func TestExamples(t *testing.T) {
	pages, err := filepath.Glob("help/*.txt")
	if err != nil || len(pages) < 10 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, page := range pages {
		page, err := filepath.Abs(page) // the playground is another folder
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(page), func(t *testing.T) {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			p := newPlayground(t)
			if !slices.Contains(fromNothing, filepath.Base(page)) {
				p.run(t, "claviger migrate")
			}
			// Of the page's own, so that a new page leaves the others as they are.
			seed := crc32.ChecksumIEEE([]byte(filepath.Base(page)))
			cryptotest.SetGlobalRandom(t, uint64(seed))
			var got string
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(time.Date(2026, 1, 2, 9, 0, 0, 0, time.UTC))) // on the test's own clock
				got = p.play(t, string(text))
			})
			if *update {
				if err := os.WriteFile(page, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(text), got); diff != "" {
				t.Errorf("the page says something else than happens; -update writes it anew\n%s", diff)
			}
		})
	}
}

// fromNothing are the pages whose examples begin without tables.
var fromNothing = []string{"claviger.txt", "migrate.txt"}

// withoutExamples are the pages that show nothing to run.
var withoutExamples = []string{"config", "help"}

func TestEveryCommandHasAPage(t *testing.T) {
	t.Parallel()
	for _, c := range commands() {
		page := c.page
		if page == "" {
			page = c.name
		}
		text, err := texts.ReadFile("help/" + page + ".txt")
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.HasPrefix(string(text), "DESCRIPTION\n") {
			t.Errorf("the page of %s does not begin with a description", c.name)
		}
		if !slices.Contains(withoutExamples, page) && !strings.Contains(string(text), prompt+"claviger "+c.name) {
			t.Errorf("the page of %s has no example of it", c.name)
		}
		for _, v := range c.verbs {
			if !strings.Contains(string(text), prompt+"claviger "+c.name+" "+v.name) && v.page == "" {
				t.Errorf("the page of %s has no example of %s", c.name, v.name)
			}
		}
	}
}

// A playground is a folder in which examples run, with the configuration that stands
// on the page of config.
type playground struct {
	dir string
	id  string // of the first credential that was made
}

func newPlayground(t *testing.T) *playground {
	t.Helper()
	source, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	p := &playground{dir: t.TempDir()}
	t.Chdir(p.dir)
	p.write(t, "config.json", exampleConfig(t))
	for _, name := range []string{"moving.json", "tokens.csv", "clients.jsonl"} { // which examples read
		text, err := os.ReadFile(filepath.Join(source, "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		p.write(t, name, string(text))
	}
	t.Setenv("CLAVIGER_CONFIG", "config.json")
	t.Setenv("CLAVIGER_STORE", "sqlite:claviger.db")
	t.Setenv("CLAVIGER_AS", "anna")
	return p
}

// exampleConfig returns the configuration that stands on the page of config.
func exampleConfig(t testing.TB) string {
	t.Helper()
	text, err := texts.ReadFile("help/config.txt")
	if err != nil {
		t.Fatal(err)
	}
	begin := bytes.Index(text, []byte("        {\n"))
	if begin < 0 {
		t.Fatal("there is no configuration on its page")
	}
	return string(text[begin:])
}

func (p *playground) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// play returns a page with the outputs of its examples as they are now.
func (p *playground) play(t *testing.T, page string) string {
	t.Helper()
	var out strings.Builder
	output := false // whether the line is an output of before
	for line := range strings.Lines(page) {
		command, ok := strings.CutPrefix(line, prompt)
		switch {
		case ok:
			output = true
			out.WriteString(line)
			time.Sleep(time.Minute) // on the test's own clock
			for printed := range strings.Lines(p.run(t, strings.TrimSpace(command))) {
				out.WriteString("        " + printed)
			}
		case strings.TrimSpace(line) == "":
			output = false
			out.WriteString(line)
		case !output:
			out.WriteString(line)
		}
	}
	return out.String()
}

var made = regexp.MustCompile(`(?m)^(?:key|client) (\w+) of `)

// run runs a line as a shell would, and returns what it prints, with its exit
// status.
func (p *playground) run(t *testing.T, line string) string {
	t.Helper()
	var args []string
	var in, to string
	for _, word := range words(strings.ReplaceAll(line, "$ID", p.id)) {
		if name, ok := strings.CutPrefix(word, "<"); ok {
			in = name
		} else if name, ok := strings.CutPrefix(word, ">"); ok {
			to = name
		} else {
			args = append(args, word)
		}
	}
	if len(args) == 0 || args[0] != "claviger" {
		t.Fatalf("not a command of this program: %s", line)
	}
	var printed, kept bytes.Buffer
	stdin := new(bytes.Buffer)
	if in != "" {
		text, err := os.ReadFile(filepath.Join(p.dir, in))
		if err != nil {
			t.Fatal(err)
		}
		stdin.Write(text)
	}
	stdout := &printed
	if to != "" {
		stdout = &kept
	}
	code := run(t.Context(), args[1:], stdin, stdout, &printed)
	if to != "" {
		p.write(t, to, kept.String())
	}
	if found := made.FindStringSubmatch(printed.String()); found != nil && p.id == "" {
		p.id = found[1]
	}
	if code != 0 {
		fmt.Fprintf(&printed, "(exit status %d)\n", code)
	}
	return strings.ReplaceAll(printed.String(), p.dir, "/srv")
}

// words splits a line at blanks outside of single quotes.
func words(line string) []string {
	var all []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			all = append(all, part)
			continue
		}
		all = append(all, strings.Fields(part)...)
	}
	return all
}
