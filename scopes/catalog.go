package scopes

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Status says whether a scope of a [Catalog] can be granted.
type Status uint8

const (
	// Available scopes are granted to those who ask for them.
	Available Status = iota
	// Always scopes belong to every credential, asked for or not.
	Always
	// Reserved scopes have a name but no meaning yet, and are never granted.
	Reserved
)

// String returns "available", "always" or "reserved".
func (s Status) String() string {
	switch s {
	case Available:
		return "available"
	case Always:
		return "always"
	case Reserved:
		return "reserved"
	}
	return fmt.Sprintf("Status(%d)", uint8(s))
}

// A Scope is one entry of a [Catalog].
type Scope struct {
	Name        string // a scope token of RFC 6749 §3.3
	Description string // what the scope permits, for people; may be empty
	Status      Status // if zero, Available
}

// A Catalog is the list of scopes that a host knows. It is immutable, and may
// be used by many goroutines at once. A nil Catalog knows no scope.
type Catalog struct {
	scopes    []Scope // ascending by name
	available Set     // Available and Always
	always    Set
	reserved  Set
}

// NewCatalog returns a catalog of the given scopes. It returns an error if a
// name is not a scope token or appears twice, or if a status is unknown.
func NewCatalog(list ...Scope) (*Catalog, error) {
	c := &Catalog{scopes: slices.Clone(list)}
	slices.SortFunc(c.scopes, func(a, b Scope) int { return strings.Compare(a.Name, b.Name) })
	names := make(map[Status][]string)
	for i, s := range c.scopes {
		switch {
		case !Valid(s.Name):
			return nil, fmt.Errorf("%w: %q", ErrSyntax, s.Name)
		case i > 0 && c.scopes[i-1].Name == s.Name:
			return nil, fmt.Errorf("scopes: %q is in the catalog twice", s.Name)
		case s.Status > Reserved:
			return nil, fmt.Errorf("scopes: %q has the unknown status %v", s.Name, s.Status)
		}
		names[s.Status] = append(names[s.Status], s.Name)
	}
	c.always = canonical(names[Always])
	c.available = canonical(names[Available]).Union(c.always)
	c.reserved = canonical(names[Reserved])
	return c, nil
}

// MustCatalog is like [NewCatalog] and panics on an error. It is for package
// variables.
func MustCatalog(list ...Scope) *Catalog {
	c, err := NewCatalog(list...)
	if err != nil {
		panic(err)
	}
	return c
}

// Grant returns the set that a credential gets when the given names are asked
// for: those names and the always-granted scopes. No names give the
// always-granted scopes alone. If a name cannot be granted, the error is a
// [*GrantError] that lists every such name, and the set is empty.
func (c *Catalog) Grant(names ...string) (Set, error) {
	var refused GrantError
	for _, name := range names {
		switch {
		case c.Grantable().Contains(name):
		case c.Reserved().Contains(name):
			refused.Reserved = append(refused.Reserved, name)
		default:
			refused.Unknown = append(refused.Unknown, name)
		}
	}
	if refused.Reserved != nil || refused.Unknown != nil {
		refused.Reserved = sortedUnique(refused.Reserved)
		refused.Unknown = sortedUnique(refused.Unknown)
		return Set{}, &refused
	}
	return canonical(slices.Clone(names)).Union(c.Always()), nil
}

func sortedUnique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// Grantable returns the scopes that can be granted, the always-granted ones
// included.
func (c *Catalog) Grantable() Set {
	if c == nil {
		return Set{}
	}
	return c.available
}

// Always returns the scopes that every credential holds.
func (c *Catalog) Always() Set {
	if c == nil {
		return Set{}
	}
	return c.always
}

// Reserved returns the scopes that are never granted.
func (c *Catalog) Reserved() Set {
	if c == nil {
		return Set{}
	}
	return c.reserved
}

// Scopes returns the entries in ascending order of their names, in a new
// slice: what a page of documentation or a consent screen lists.
func (c *Catalog) Scopes() []Scope {
	if c == nil {
		return nil
	}
	return slices.Clone(c.scopes)
}

// ErrGrant is what every [*GrantError] is under [errors.Is].
var ErrGrant = errors.New("scopes: scope cannot be granted")

// A GrantError lists the names that [Catalog.Grant] refused. Each list is
// sorted and free of repetitions, and nil if it has no names. Names that are
// no scope tokens at all are among the unknown ones, so the lists hold what
// a caller sent: encode them before they go into a header or a page.
type GrantError struct {
	Reserved []string // in the catalog, and not granted yet
	Unknown  []string // not in the catalog
}

// Error says how many names were refused. It does not quote them.
func (e *GrantError) Error() string {
	return fmt.Sprintf("%v: %d reserved, %d unknown", ErrGrant, len(e.Reserved), len(e.Unknown))
}

// Is reports whether target is [ErrGrant].
func (e *GrantError) Is(target error) bool { return target == ErrGrant }
