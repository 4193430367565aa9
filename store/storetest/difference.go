package storetest

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// differences returns a line for each field in which got is not want, except
// those whose names are given. Times are compared as instants and all else with
// ==. It goes by reflection, so that fields that are new are compared too.
func differences(got, want keys.Record, but ...string) []string {
	var lines []string
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range g.NumField() {
		name := g.Type().Field(i).Name
		gf, wf := g.Field(i).Interface(), w.Field(i).Interface()
		if !slices.Contains(but, name) && !equal(gf, wf) {
			lines = append(lines, fmt.Sprintf("%s: got %s, want %s", name, show(gf), show(wf)))
		}
	}
	return lines
}

func equal(a, b any) bool {
	if t, ok := a.(time.Time); ok {
		return t.Equal(b.(time.Time))
	}
	return a == b
}

// show prints a field so that values that differ look different, text in other
// Unicode forms included.
func show(field any) string {
	switch v := field.(type) {
	case time.Time:
		if v.IsZero() {
			return "never"
		}
		return v.Format(time.RFC3339Nano)
	case encoding.TextMarshaler:
		if text, err := v.MarshalText(); err == nil {
			return quote(string(text))
		}
	}
	if v := reflect.ValueOf(field); v.Kind() == reflect.String {
		return quote(v.String())
	}
	return fmt.Sprint(field)
}

// quote returns text in ASCII and in quotes, with its middle left out if it is
// very long.
func quote(text string) string {
	const most = 300
	if len(text) <= most {
		return fmt.Sprintf("%+q", text)
	}
	return fmt.Sprintf("%+q…%+q (%d bytes)", text[:most/2], text[len(text)-most/2:], len(text))
}

func quoteAll(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = quote(text)
	}
	return "[" + strings.Join(quoted, " ") + "]"
}

func quoteIDs(records []keys.Record) string {
	ids := make([]string, len(records))
	for i, r := range records {
		ids[i] = r.ID
	}
	return quoteAll(ids)
}

func quoteQuery(q keys.Query) string {
	return fmt.Sprintf("{Org: %s, Kind: %s, After: %s, Limit: %d, Live: %t}", quote(q.Org), q.Kind, quote(q.After), q.Limit, q.Live)
}
