package storetest

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"
)

// timeLimit is how long a check may take. A check needs far less: one that takes longer
// waits for something that does not happen.
const timeLimit = 30 * time.Second

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

	// Optional names the interface that the clause is about, such as
	// keys.UseStore, or the field of Options that it needs. Stores without the
	// interface are not judged by the clause, nor are any without the field. It
	// is empty for clauses that every store has to keep.
	Optional string
}

// A Violation reports that a store broke a clause.
type Violation struct {
	Clause string // the name of the clause
	Doc    string // its explanation
	Detail string // what was called, what came of it, and what should have
}

// Error returns the clause, its explanation and what was found, on several lines.
func (v *Violation) Error() string {
	return fmt.Sprintf("storetest: the store breaks %s\n\ncontract: %s\n\nfound: %s\n", v.Clause, v.Doc, v.Detail)
}

// A clause is a Clause and the check that judges a store S by it.
type clause[S any] struct {
	Clause
	check func(*probe, S)
	is    func(S) bool           // whether a store is to be judged; nil if each is
	given func(*Options[S]) bool // whether the check has what it needs; nil if it needs nothing
}

// applies reports whether s is to be judged by the clause.
func (c *clause[S]) applies(s S) bool { return c.is == nil || c.is(s) }

// possible reports whether a store can be judged by the clause.
func (c *clause[S]) possible(opts *Options[S]) bool { return c.given == nil || c.given(opts) }

// public returns the exported parts of clauses.
func public[S any](clauses []clause[S]) []Clause {
	out := make([]Clause, len(clauses))
	for i, c := range clauses {
		out[i] = c.Clause
		out[i].Needs = slices.Clone(c.Needs)
	}
	return out
}

// rule makes a clause of a contract.
func rule[S any](name, doc string, check func(*probe, S), needs ...string) clause[S] {
	return clause[S]{Clause: Clause{Name: name, Doc: doc, Needs: needs}, check: check}
}

// judge returns nil if s, which is fresh, keeps the clause. The check runs in a
// goroutine of its own, so that judge can return even if the check never ends. The
// functions of opts run in the goroutine of the test, so that they may end the test.
func (c *clause[S]) judge(t testing.TB, s S, opts *Options[S]) *Violation {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := &probe{ctx: ctx, clause: c.Name, racing: opts.race(), t: t, options: opts, calls: make(chan func())}
	result := make(chan *Violation, 1)
	id := make(chan string, 1)
	go func() {
		id <- goroutineID()
		result <- c.run(p, s)
	}()

	timer := time.NewTimer(timeLimit)
	defer timer.Stop()
	for {
		select {
		case v := <-result:
			return v
		case call := <-p.calls:
			call()
		case <-timer.C:
			where := running(<-id)
			cancel() // calls that heed their context end now
			select {
			case <-result:
			case <-time.After(time.Second):
			}
			return &Violation{c.Name, c.Doc, fmt.Sprintf("no end after %v. Calls were still running, or waiting for each other:\n\n%s", timeLimit, where)}
		}
	}
}

// run runs the check. A store that panics breaks the clause.
func (c *clause[S]) run(p *probe, s S) (v *Violation) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case failure:
			v = &Violation{c.Name, c.Doc, e.detail}
		default:
			v = &Violation{c.Name, c.Doc, fmt.Sprintf("a panic: %v\n%s", e, debug.Stack())}
		}
	}()
	c.check(p, s)
	return nil
}

// A verdict has the names of the clauses that were broken or not judged.
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
