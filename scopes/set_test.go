package scopes_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/scopes"
	"github.com/google/go-cmp/cmp"
)

func TestValid(t *testing.T) {
	t.Parallel()
	// RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E ).
	for c := range 256 {
		want := c == 0x21 || c >= 0x23 && c <= 0x5b || c >= 0x5d && c <= 0x7e
		for _, name := range []string{string([]byte{byte(c)}), "a" + string([]byte{byte(c)}) + "b"} {
			if got := scopes.Valid(name); got != want {
				t.Errorf("Valid(%q) = %v, want %v", name, got, want)
			}
		}
	}
	if scopes.Valid("") {
		t.Error("the empty string is no scope token")
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		want       []string
	}{
		{"empty", "", []string{}},
		{"one", "identity:read", []string{"identity:read"}},
		{"sorted", "a b c", []string{"a", "b", "c"}},
		{"unsorted", "c a b", []string{"a", "b", "c"}},
		{"repeated", "b a b a", []string{"a", "b"}},
		{"case matters", "b B", []string{"B", "b"}},
		{"byte order, not word order", "a:b a-b a", []string{"a", "a-b", "a:b"}},
		{"every legal edge", "! #~[ ]", []string{"!", "#~[", "]"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := scopes.Parse(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, s.Names()); diff != "" {
				t.Error(diff)
			}
			if s != scopes.MustParse(strings.Join(tt.want, " ")) {
				t.Error("equal sets differ under ==")
			}
			if s.Len() != len(tt.want) || s.IsEmpty() != (len(tt.want) == 0) {
				t.Errorf("Len = %d, IsEmpty = %v", s.Len(), s.IsEmpty())
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		" ", " a", "a ", "a  b", "a\tb", "a\nb", `a"`, `a\b`, "a\x7f", "ü", "a\x00", "a,b c\r",
	} {
		if s, err := scopes.Parse(text); !errors.Is(err, scopes.ErrSyntax) || s != (scopes.Set{}) {
			t.Errorf("Parse(%q) = %v, %v; want ErrSyntax", text, s, err)
		}
	}
}

func TestErrorsDoNotQuote(t *testing.T) {
	t.Parallel()
	if _, err := scopes.Parse("ok sécret"); strings.Contains(err.Error(), "cret") {
		t.Errorf("the error quotes its input: %v", err)
	}
}

func TestOfDoesNotKeepItsArgument(t *testing.T) {
	t.Parallel()
	names := []string{"b", "a"}
	if _, err := scopes.Of(names...); err != nil || !slices.Equal(names, []string{"b", "a"}) {
		t.Errorf("Of changed its argument to %q (error %v)", names, err)
	}
}

func TestContainsIsExact(t *testing.T) {
	t.Parallel()
	s := scopes.MustParse("keys:* keys:manage skills:read")
	for name := range s.All() {
		if !s.Contains(name) {
			t.Errorf("%q is missing", name)
		}
	}
	for _, name := range []string{
		"", " ", "keys", "keys:", "keys:manag", "keys:manage2", "eys:manage", "Keys:manage", "keys:read",
		"keys:* keys:manage", "keys:manage ", " keys:manage", "skills:read skills:write",
	} {
		if s.Contains(name) {
			t.Errorf("Contains(%q)", name)
		}
	}
	if (scopes.Set{}).Contains("") {
		t.Error("the empty set contains the empty name")
	}
}

// TestAlgebra compares the sets over a small universe with sets built of maps.
func TestAlgebra(t *testing.T) {
	t.Parallel()
	universe := []string{"a", "a:b", "b", "ba", "c"}
	pick := func(bits int) (scopes.Set, map[string]bool) {
		m := make(map[string]bool)
		for i, name := range universe {
			if bits>>i&1 == 1 {
				m[name] = true
			}
		}
		s, err := scopes.Of(slices.Collect(maps.Keys(m))...)
		if err != nil {
			t.Fatal(err)
		}
		return s, m
	}
	for x := range 1 << len(universe) {
		for y := range 1 << len(universe) {
			s, _ := pick(x)
			u, _ := pick(y)
			union, _ := pick(x | y)
			both, _ := pick(x & y)
			if s.Union(u) != union || s.Intersect(u) != both {
				t.Fatalf("%q and %q: union %q, intersection %q", s, u, s.Union(u), s.Intersect(u))
			}
			if s.ContainsAll(u) != (x&y == y) {
				t.Fatalf("%q contains all of %q: %v", s, u, s.ContainsAll(u))
			}
		}
	}
}

func TestAllStops(t *testing.T) {
	t.Parallel()
	for name := range scopes.MustParse("a b").All() {
		if name != "a" {
			t.Fatalf("first member %q", name)
		}
		break
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	s := scopes.MustParse("b a")
	text, err := s.MarshalText()
	if err != nil || string(text) != "a b" {
		t.Fatalf("MarshalText = %q, %v", text, err)
	}
	var back scopes.Set
	if err := back.UnmarshalText(text); err != nil || back != s {
		t.Errorf("UnmarshalText gave %q, %v", back, err)
	}
	if err := back.UnmarshalText([]byte("a  b")); !errors.Is(err, scopes.ErrSyntax) || back != s {
		t.Errorf("bad text: %v, and the set is now %q", err, back)
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	type doc struct {
		Scopes scopes.Set `json:"scopes"`
	}
	for text, want := range map[string]string{
		`{"scopes":[]}`:            `{"scopes":[]}`,
		`{"scopes":["b","a","b"]}`: `{"scopes":["a","b"]}`,
		`{}`:                       `{"scopes":[]}`,
	} {
		var d doc
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if got, err := json.Marshal(d); err != nil || string(got) != want {
			t.Errorf("%s became %s, %v", text, got, err)
		}
	}
	for _, text := range []string{`null`, `"a b"`, `{}`, `["a b"]`, `[""]`, `[1]`, `["a",`} {
		s := scopes.MustParse("kept")
		if err := s.UnmarshalJSON([]byte(text)); !errors.Is(err, scopes.ErrSyntax) {
			t.Errorf("%s: %v", text, err)
		}
		if s.String() != "kept" {
			t.Errorf("%s changed the set to %q", text, s)
		}
	}
}

func TestMustParsePanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	scopes.MustParse("a  b")
}

func TestAllocations(t *testing.T) {
	s := scopes.MustParse("identity:read keys:manage webhooks:manage")
	text := s.String()
	small := scopes.MustParse("keys:manage")
	for name, f := range map[string]func(){
		"Contains":    func() { s.Contains("webhooks:manage"); s.Contains("nope") },
		"ContainsAll": func() { s.ContainsAll(small) },
		"Intersect":   func() { s.Intersect(small) },
		"Parse":       func() { _, _ = scopes.Parse(text) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"", "a", "b a", "a  b", "a a", "identity:read webhooks:manage", "\"", "a\\", "é"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := scopes.Parse(text)
		if err != nil {
			if s != (scopes.Set{}) {
				t.Fatalf("an error, and the set %q", s)
			}
			return
		}
		again, err := scopes.Parse(s.String())
		if err != nil || again != s {
			t.Fatalf("%q is not canonical: %q, %v", s, again, err)
		}
		asked := make(map[string]bool)
		for name := range strings.SplitSeq(text, " ") {
			asked[name] = true
			if text != "" && !s.Contains(name) {
				t.Fatalf("%q lost %q", text, name)
			}
		}
		if text != "" && s.Len() != len(asked) {
			t.Fatalf("%q has %d members, want %d", s, s.Len(), len(asked))
		}
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back scopes.Set
		if err := json.Unmarshal(data, &back); err != nil || back != s {
			t.Fatalf("%q through JSON: %q, %v", s, back, err)
		}
	})
}

func FuzzUnmarshalJSON(f *testing.F) {
	for _, text := range []string{`[]`, `["a"]`, `["a","b"]`, `null`, `[null]`, `["a b"]`, `["\u0000"]`, `["\ud800"]`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var s scopes.Set
		if err := s.UnmarshalJSON(data); err != nil {
			return
		}
		for name := range s.All() {
			if !scopes.Valid(name) {
				t.Fatalf("%q from %q", name, data)
			}
		}
		if again, err := scopes.Parse(s.String()); err != nil || again != s {
			t.Fatalf("%q is not canonical: %v", s, err)
		}
	})
}

func BenchmarkContains(b *testing.B) {
	s := scopes.MustParse("identity:read keys:manage webhooks:manage")
	for _, bb := range []struct{ name, scope string }{
		{"member=first", "identity:read"}, {"member=last", "webhooks:manage"}, {"member=none", "leads:read"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Contains(bb.scope)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, bb := range []struct{ name, text string }{
		{"form=canonical", "identity:read webhooks:manage"},
		{"form=unsorted", "webhooks:manage identity:read"},
		{"form=hostile", strings.Repeat("b a ", 2000) + "\""},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = scopes.Parse(bb.text)
			}
		})
	}
}
