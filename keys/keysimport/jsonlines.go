package keysimport

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxLine is the length in bytes of the longest line of JSON.
const maxLine = 1 << 20

// ReadJSONLines reads rows from lines of JSON, one object in each. The members of an
// object are the columns of [ReadCSV]. Values are strings, numbers and booleans; scopes
// and networks may be arrays of strings, and metadata may be any object. A null counts
// as an empty value. The text is in UTF-8; a byte order mark in front of it is ignored.
// A nil d stands for the zero Defaults.
//
// A row that cannot be read has an error of its own. Empty lines are skipped. The
// sequence can be iterated over once. If r fails, or a line has more than a million
// bytes, the sequence ends with a row that has the error.
func ReadJSONLines(r io.Reader, p Preset, d *Defaults) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		lines := bufio.NewScanner(withoutMark(r))
		lines.Buffer(nil, maxLine)
		for n := 1; lines.Scan(); n++ {
			line := bytes.TrimSpace(lines.Bytes())
			if len(line) == 0 {
				continue
			}
			b := newBuilder(n, p, d)
			b.readJSON(line)
			if !yield(b.row()) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(Row{Err: fmt.Errorf("keysimport: reading: %w: %w", errRead, err)})
		}
	}
}

var errJSON = errors.New("keysimport: not an object in JSON")

// readJSON reads the members of an object. A member that is there twice is an error,
// and so is an unknown one.
func (b *builder) readJSON(line []byte) {
	if !utf8.Valid(line) { // package json would put other text in place of what it cannot read
		b.Err = errors.New("keysimport: not in UTF-8")
		return
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		b.Err = errJSON
		return
	}
	var seen []string
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		var value json.RawMessage
		if err != nil || !ok || dec.Decode(&value) != nil || slices.Contains(seen, name) {
			b.Err = errJSON
			return
		}
		seen = append(seen, name)
		if columns[name] == nil {
			b.Err = fmt.Errorf("keysimport: %s", unknownColumn(name, len(seen)))
			return
		}
		text, err := textOf(name, value)
		if err != nil {
			b.Err = fmt.Errorf("keysimport: column %s: %w", name, err)
			return
		}
		b.set(name, text)
	}
	if _, err := dec.Token(); err != nil && b.Err == nil {
		b.Err = errJSON
	}
	if _, err := dec.Token(); err != io.EOF && b.Err == nil {
		b.Err = errJSON
	}
}

// textOf returns the value of a member as the text that a CSV file would have.
func textOf(name string, value json.RawMessage) (string, error) {
	var v any
	dec := json.NewDecoder(bytes.NewReader(value))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return "", errors.New("not a value in JSON")
	}
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case bool:
		return fmt.Sprint(v), nil
	case map[string]any:
		if name == "metadata" {
			var compact bytes.Buffer
			err := json.Compact(&compact, value)
			return compact.String(), err
		}
	case []any:
		var all []string
		for _, element := range v {
			text, ok := element.(string)
			if !ok {
				return "", errors.New("not an array of strings")
			}
			all = append(all, text)
		}
		switch name {
		case "scopes":
			return string(value), nil // an empty array too: it says that there are none
		case "networks":
			return strings.Join(all, " "), nil
		}
	}
	return "", errors.New("not a string, a number or a boolean")
}
