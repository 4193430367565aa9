package storetest

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
)

// A Clause is one rule of a contract.
type Clause struct {
	// Name is what the rule's subtest and its violations are called. It is
	// made of lower-case letters and hyphens.
	Name string

	// Doc says in full sentences what the contract wants, and what goes wrong
	// where a store breaks it.
	Doc string

	// Needs names the clauses that this one builds on. If one of them is
	// broken, or was not judged itself, this one is not judged.
	Needs []string

	// Optional names the interface that the clause is of, such as
	// keys.UseStore, if stores need not have it. Those that do not are not
	// judged. It is empty for the clauses that every store has to keep.
	Optional string
}

// A Violation reports that a store broke a clause.
type Violation struct {
	Clause string // the name of the clause
	Doc    string // its explanation
	Detail string // what was called, what came of it, and what should have
}

// Error returns all that a store's author needs to know, on several lines.
func (v *Violation) Error() string {
	return fmt.Sprintf("storetest: the store breaks %s\n\ncontract: %s\n\nfound: %s\n", v.Clause, v.Doc, v.Detail)
}

// A clause is a Clause and the check that judges a store S by it.
type clause[S any] struct {
	Clause
	check   func(*probe, S)
	applies func(S) bool // whether a store is to be judged; nil if each is
}

// judges reports whether s is to be judged by the clause.
func (c *clause[S]) judges(s S) bool { return c.applies == nil || c.applies(s) }

// public returns what others may know of clauses.
func public[S any](clauses []clause[S]) []Clause {
	out := make([]Clause, len(clauses))
	for i, c := range clauses {
		out[i] = c.Clause
		out[i].Needs = slices.Clone(c.Needs)
	}
	return out
}

// judge returns nil if s, which is fresh, keeps the clause. A store that
// panics breaks it.
func (c *clause[S]) judge(ctx context.Context, s S) (v *Violation) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case failure:
			v = &Violation{c.Name, c.Doc, e.detail}
		default:
			v = &Violation{c.Name, c.Doc, fmt.Sprintf("a panic: %v\n%s", e, debug.Stack())}
		}
	}()
	c.check(&probe{ctx: ctx, clause: c.Name}, s)
	return nil
}

// A verdict remembers the clauses that later ones cannot build on.
type verdict map[string]bool

// missing returns the needs of c that were broken or not judged.
func (v verdict) missing(c Clause) string {
	var names []string
	for _, name := range c.Needs {
		if v[name] {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// check judges a fresh store by each clause, and returns the violations.
func check[S any](ctx context.Context, clauses []clause[S], open func() S) []*Violation {
	var violations []*Violation
	out := make(verdict)
	for _, c := range clauses {
		if out.missing(c.Clause) != "" {
			out[c.Name] = true
			continue
		}
		s := open()
		if !c.judges(s) {
			continue
		}
		if v := c.judge(ctx, s); v != nil {
			out[c.Name] = true
			violations = append(violations, v)
		}
	}
	return violations
}
