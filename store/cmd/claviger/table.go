package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"
)

// A table is rows of cells for people.
type table struct{ w *tabwriter.Writer }

// newTable returns a table with a heading. End writes it.
func newTable(w io.Writer, heading ...string) *table {
	t := &table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	if len(heading) > 0 {
		t.row(heading...)
	}
	return t
}

// row adds a row. An empty cell is a dash.
func (t *table) row(cells ...string) {
	for i, c := range cells {
		if cells[i] = plain(c); c == "" {
			cells[i] = "-"
		}
	}
	fmt.Fprintln(t.w, strings.Join(cells, "\t"))
}

// pair adds a name and a value, unless the value is empty.
func (t *table) pair(name, value string) {
	if value != "" {
		t.row(name, value)
	}
}

func (t *table) end() { _ = t.w.Flush() } // the output remembers errors

// plain returns text that can be printed on one line of a terminal. Labels and names
// were written by others, and may hold control characters.
func plain(text string) string {
	for _, c := range text {
		if !strconv.IsPrint(c) || c == utf8.RuneError {
			q := strconv.Quote(text)
			return q[1 : len(q)-1]
		}
	}
	return text
}

// instant returns a time in ISO 8601, in UTC, and "" for the zero time.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

// number returns a number with commas.
func number(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// printJSON prints a value as one line.
func (s *session) printJSON(value any) error {
	line, err := json.Marshal(value)
	if err == nil {
		_, err = s.stdout.Write(append(line, '\n'))
	}
	return err
}
