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
	// Available is the status of scopes that credentials get if they ask for them.
	Available Status = iota
	// Always is the status of scopes that every credential gets, even if it does
	// not ask for them.
	Always
	// Reserved is the status of scopes that have a name but no meaning yet. They
	// are never granted.
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

// NewCatalog returns a catalog of the given scopes. It returns an error if a name
// appears twice or a status is unknown. The error wraps [ErrSyntax] if a name is
// not a scope token.
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

// Grant returns the set that a credential gets if it asks for the given names:
// those names and the scopes with the status [Always]. Without names it returns
// the latter alone. If names cannot be granted, the error is a [*GrantError] that
// lists all of them, and the set is empty.
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

// Grantable returns the scopes that can be granted: those with the status
// [Available] or [Always].
func (c *Catalog) Grantable() Set {
	if c == nil {
		return Set{}
	}
	return c.available
}

// Always returns the scopes with the status [Always].
func (c *Catalog) Always() Set {
	if c == nil {
		return Set{}
	}
	return c.always
}

// Reserved returns the scopes with the status [Reserved].
func (c *Catalog) Reserved() Set {
	if c == nil {
		return Set{}
	}
	return c.reserved
}

// Scopes returns the entries in ascending order of their names, in a new slice. It
// is for pages that list the scopes, such as documentation or a consent screen. It
// returns nil for a nil Catalog.
func (c *Catalog) Scopes() []Scope {
	if c == nil {
		return nil
	}
	return slices.Clone(c.scopes)
}

// ErrGrant reports scopes that cannot be granted. Every [*GrantError] is ErrGrant
// under [errors.Is].
var ErrGrant = errors.New("scopes: scope cannot be granted")

// A GrantError lists the names that [Catalog.Grant] refused. Each list is sorted,
// has every name once, and is nil if it has none. The names are what the caller
// sent. They need not be scope tokens, so encode them before you write them into a
// header or a page.
type GrantError struct {
	Reserved []string // names with the status Reserved
	Unknown  []string // names that are not in the catalog
}

// Error says how many names were refused. It does not quote them.
func (e *GrantError) Error() string {
	return fmt.Sprintf("%v: %d reserved, %d unknown", ErrGrant, len(e.Reserved), len(e.Unknown))
}

// Is reports whether target is [ErrGrant].
func (e *GrantError) Is(target error) bool { return target == ErrGrant }
