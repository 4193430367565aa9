package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// A probe is what the check of a clause works with. Its methods end the check,
// by a panic with a failure, when the store did not do what it had to.
type probe struct {
	ctx    context.Context
	clause string
	racing time.Duration // how long racers go on

	t       testing.TB
	options any         // an *Options of the interface that is tested
	calls   chan func() // to be made in the goroutine of the test
}

// call calls f in the goroutine of the test, where it may end the test.
func (p *probe) call(f func()) {
	done := make(chan struct{})
	select {
	case p.calls <- func() { defer close(done); f() }:
		<-done
	case <-p.ctx.Done():
	}
	if p.ctx.Err() != nil {
		p.failf("the test has ended")
	}
}

// A failure is the value with which a check panics at the first thing that is wrong.
type failure struct{ detail string }

func (p *probe) failf(format string, args ...any) {
	panic(failure{fmt.Sprintf(format, args...)})
}

// ok fails unless a call went well.
func (p *probe) ok(err error, format string, args ...any) {
	if err != nil {
		p.failf("%s failed: %v", fmt.Sprintf(format, args...), err)
	}
}

// refused fails unless a call returned an error that wraps want.
func (p *probe) refused(err, want error, format string, args ...any) {
	switch {
	case err == nil:
		p.failf("%s went well, want an error that wraps %q", fmt.Sprintf(format, args...), want)
	case !errors.Is(err, want):
		p.failf("%s failed with %q, want an error that wraps %q%s", fmt.Sprintf(format, args...), err, want, unwrapped(err, want))
	}
}

// unwrapped returns a hint if err has the text of want, but does not wrap it.
func unwrapped(err, want error) string {
	if errors.Is(err, want) || !strings.Contains(err.Error(), want.Error()) {
		return ""
	}
	return "; errors.Is is false although the text is there: the error was made with %v where it takes %w, or anew"
}

// same fails unless got is want in every field but those that are named.
func (p *probe) same(got, want keys.Record, what string, but ...string) {
	if lines := differences(got, want, but...); len(lines) > 0 {
		p.failf("%s differs:\n\t%s", what, strings.Join(lines, "\n\t"))
	}
}

// ids fails unless the records are those with the given IDs, in this order.
func (p *probe) ids(got []keys.Record, what string, want ...string) {
	if len(want) > 100 && len(got) != len(want) {
		p.failf("%s gave %d records, want %d", what, len(got), len(want))
	}
	if text, wanted := quoteIDs(got), quoteAll(want); text != wanted {
		p.failf("%s gave\n\t%s\nwant\n\t%s", what, text, wanted)
	}
}

func (p *probe) insert(s keys.Store, records ...keys.Record) {
	for _, r := range records {
		p.ok(s.Insert(p.ctx, r), "Insert of %s", r)
	}
}

func (p *probe) get(s keys.Store, id string) keys.Record {
	r, _, err := s.Get(p.ctx, id)
	p.ok(err, "Get of %s", quote(id))
	return r
}

// absent fails unless no record has the ID.
func (p *probe) absent(s keys.Store, id string) {
	_, _, err := s.Get(p.ctx, id)
	p.refused(err, keys.ErrNotFound, "Get of %s", quote(id))
}

func (p *probe) update(s keys.Store, r keys.Record) {
	p.ok(s.Update(p.ctx, r), "Update of %s", r)
}

// updated updates r and returns it with the version that it has now.
func (p *probe) updated(s keys.Store, r keys.Record) keys.Record {
	p.update(s, r)
	r.Version++
	return r
}

func (p *probe) list(s keys.Store, q keys.Query) []keys.Record {
	page, err := s.List(p.ctx, q)
	p.ok(err, "List of %s", quoteQuery(q))
	return page
}

// parallel calls f n times at once, with the numbers from 0, and waits. If one
// of the calls fails or panics, so does parallel.
func (p *probe) parallel(n int, f func(i int)) {
	var (
		start = make(chan struct{})
		ready sync.WaitGroup
		done  sync.WaitGroup
		mu    sync.Mutex
		first any
	)
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			defer func() {
				if e := recover(); e != nil {
					mu.Lock()
					defer mu.Unlock()
					if first == nil {
						first = e
					}
				}
			}()
			ready.Done()
			<-start
			f(i)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
	if first != nil {
		panic(first)
	}
}
