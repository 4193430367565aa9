package scopes

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// ErrSyntax reports text that is not a scope, or not a list of scopes, in the
// grammar of RFC 6749 §3.3. Errors that wrap it do not quote the text, which may
// come from a caller. Only [NewCatalog], whose names are the host's own, quotes
// the name.
var ErrSyntax = errors.New("scopes: not a scope token of RFC 6749")

// A Set is an immutable set of scope tokens. The zero value is the empty set.
//
// Sets are canonical: members are distinct and in ascending byte order, so
// sets with the same members are equal under == and print alike. A Set may be
// used by many goroutines at once.
type Set struct {
	text string // members joined by single spaces, distinct and ascending
}

// Valid reports whether name is one scope token: at least one character, each
// from %x21 / %x23-5B / %x5D-7E (RFC 6749 §3.3).
func Valid(name string) bool {
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c == '"' || c == '\\' || c > '~' {
			return false
		}
	}
	return name != ""
}

// Of returns the set of the given names; repeated names count once. It
// returns an error that wraps [ErrSyntax] if a name is not a scope token.
func Of(names ...string) (Set, error) {
	for i, name := range names {
		if !Valid(name) {
			return Set{}, fmt.Errorf("%w (name %d of %d)", ErrSyntax, i+1, len(names))
		}
	}
	return canonical(slices.Clone(names)), nil
}

// Parse reads a scope parameter: tokens separated by single spaces, in any
// order (RFC 6749 §3.3). Repeated tokens count once. Empty text is the empty
// set, as a parameter without a value counts as omitted (RFC 6749 §3.1). Other
// text outside the grammar, stray spaces included, is an error that wraps
// [ErrSyntax].
func Parse(text string) (Set, error) {
	if text == "" {
		return Set{}, nil
	}
	if isCanonical(text) {
		return Set{text}, nil
	}
	return Of(strings.Split(text, " ")...)
}

// MustParse is like [Parse] and panics if text is not a list of scopes. It is
// for literals in programs.
func MustParse(text string) Set {
	s, err := Parse(text)
	if err != nil {
		panic(fmt.Sprintf("scopes: MustParse(%q): %v", text, err))
	}
	return s
}

// isCanonical reports whether text is already in the form that String returns.
// Parse keeps such text as it is, without an allocation.
func isCanonical(text string) bool {
	last := ""
	for name := range strings.SplitSeq(text, " ") {
		if !Valid(name) || name <= last {
			return false
		}
		last = name
	}
	return true
}

// canonical returns the set of valid names. It sorts names in place.
func canonical(names []string) Set {
	slices.Sort(names)
	return Set{strings.Join(slices.Compact(names), " ")}
}

// String returns the members in ascending byte order, separated by single
// spaces: the form of a scope parameter. The empty set gives "".
func (s Set) String() string { return s.text }

// IsEmpty reports whether s has no member.
func (s Set) IsEmpty() bool { return s.text == "" }

// Len returns the number of members.
func (s Set) Len() int {
	if s.text == "" {
		return 0
	}
	return strings.Count(s.text, " ") + 1
}

// All returns an iterator over the members in ascending byte order.
func (s Set) All() iter.Seq[string] {
	return func(yield func(string) bool) {
		for rest := s.text; rest != ""; {
			var name string
			if name, rest, _ = strings.Cut(rest, " "); !yield(name) {
				return
			}
		}
	}
}

// Names returns the members in ascending byte order in a new slice, which is
// never nil.
func (s Set) Names() []string {
	return slices.AppendSeq(make([]string, 0, s.Len()), s.All())
}

// Contains reports whether name is a member of s. The match is exact and
// case-sensitive. It does not allocate.
func (s Set) Contains(name string) bool {
	if name == "" {
		return false
	}
	for rest := s.text; len(rest) >= len(name); {
		i := strings.IndexByte(rest, ' ')
		if i < 0 {
			return rest == name
		}
		if rest[:i] == name {
			return true
		}
		rest = rest[i+1:]
	}
	return false
}

// ContainsAll reports whether every member of t is a member of s. Every set
// contains all of the empty set.
func (s Set) ContainsAll(t Set) bool {
	if s == t {
		return true
	}
	rest := s.text
	for name := range t.All() {
		for found := false; !found; {
			if rest == "" {
				return false
			}
			var member string
			member, rest, _ = strings.Cut(rest, " ")
			if member > name {
				return false
			}
			found = member == name
		}
	}
	return true
}

// Union returns the scopes that are in s, in t or in both.
func (s Set) Union(t Set) Set {
	switch {
	case s.ContainsAll(t):
		return s
	case t.ContainsAll(s):
		return t
	}
	return canonical(append(s.Names(), t.Names()...))
}

// Intersect returns the scopes that are in both s and t.
func (s Set) Intersect(t Set) Set {
	switch {
	case s.ContainsAll(t):
		return t
	case t.ContainsAll(s):
		return s
	}
	var common []string
	for name := range s.All() {
		if t.Contains(name) {
			common = append(common, name)
		}
	}
	return Set{strings.Join(common, " ")} // in the order of s
}

// MarshalText gives the text of [Set.String].
func (s Set) MarshalText() ([]byte, error) { return []byte(s.text), nil }

// UnmarshalText reads text as [Parse] does. On error s is unchanged.
func (s *Set) UnmarshalText(text []byte) error {
	t, err := Parse(string(text))
	if err == nil {
		*s = t
	}
	return err
}

// MarshalJSON gives an array of strings in ascending byte order. The empty
// set is an empty array, never null.
func (s Set) MarshalJSON() ([]byte, error) { return json.Marshal(s.Names()) }

// UnmarshalJSON reads an array of strings as [Of] does. JSON's null is an error, so
// that it is never taken for the empty set. All errors wrap [ErrSyntax]. On error s is
// unchanged.
func (s *Set) UnmarshalJSON(data []byte) error {
	var names []string
	if err := json.Unmarshal(data, &names); err != nil || names == nil {
		return fmt.Errorf("%w: want a JSON array of strings", ErrSyntax)
	}
	t, err := Of(names...)
	if err == nil {
		*s = t
	}
	return err
}
