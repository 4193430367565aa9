package keysimport

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
)

// ReadCSV reads rows from CSV (RFC 4180). The first line has the names of the columns,
// in any order: id, text, digest, covers, org, label, scopes, environment, rate_limit,
// networks, metadata, token_lifetime, created_at, expires_at, revoked_at, disabled_at
// and disabled. Every column is optional, and every value may be empty. Scopes have
// spaces or commas between them, or are a JSON array. The text is in UTF-8; a byte order
// mark in front of it is ignored. A nil d stands for the zero Defaults.
//
// The error says what is wrong with the first line. A row that cannot be read has an
// error of its own. The sequence can be iterated over once. If r fails, the sequence
// ends with a row whose error wraps that of r.
func ReadCSV(r io.Reader, p Preset, d *Defaults) (iter.Seq[Row], error) {
	lines := csv.NewReader(withoutMark(r))
	lines.ReuseRecord = true
	first, err := lines.Read()
	if err != nil {
		return nil, fmt.Errorf("keysimport: the line with the names of the columns: %w", err)
	}
	names := slices.Clone(first)
	for i, name := range names {
		names[i] = strings.ToLower(strings.TrimSpace(name))
		if columns[names[i]] == nil {
			return nil, fmt.Errorf("keysimport: %s; the first line must have the names of the columns", unknownColumn(name, i+1))
		}
		if slices.Contains(names[:i], names[i]) {
			return nil, fmt.Errorf("keysimport: column %q is there twice", name)
		}
	}
	return func(yield func(Row) bool) {
		for {
			values, err := lines.Read()
			if err == io.EOF {
				return
			}
			b := newBuilder(0, p, d)
			var syntax *csv.ParseError
			switch {
			case errors.As(err, &syntax):
				// Without the text of err, which could quote a part of the line.
				b.Line, b.Err = syntax.StartLine, errors.New("keysimport: not a line of CSV with as many values as there are columns")
				if syntax.Line > syntax.StartLine {
					b.Err = fmt.Errorf("%w; by a quote it goes on to line %d", b.Err, syntax.Line)
				}
			case err != nil:
				yield(Row{Err: fmt.Errorf("keysimport: reading: %w: %w", errRead, err)})
				return
			default:
				b.Line, _ = lines.FieldPos(0)
				for i, value := range values {
					b.set(names[i], strings.Clone(value))
				}
			}
			if !yield(b.row()) {
				return
			}
		}
	}, nil
}

// withoutMark returns a reader of what r has after the byte order mark of UTF-8, with
// which some programs begin a file.
func withoutMark(r io.Reader) io.Reader {
	const mark = "\ufeff"
	b := bufio.NewReader(r)
	if start, _ := b.Peek(len(mark)); string(start) == mark { // a reader that fails does so again
		_, _ = b.Discard(len(mark))
	}
	return b
}

// unknownColumn says that a column is unknown, which is the n-th of its line. It repeats
// the name if that is a word.
func unknownColumn(name string, n int) string {
	if !isWord(name, "_") {
		return fmt.Sprintf("unknown column, number %d of the line", n)
	}
	return fmt.Sprintf("unknown column %q", name)
}

// isWord reports whether text is short, and has only letters and the given characters.
// Only such text is repeated in errors. Other text may be a secret: a file may lack the
// line of names, or have the secrets in another column.
func isWord(text, others string) bool {
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune(others, r)
	}
	return len(text) <= 20 && !strings.ContainsFunc(text, odd)
}

// errRead marks the error of a reader, after which no more rows can be read.
var errRead = errors.New("the rest is missing")
