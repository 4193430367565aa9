package otelguard_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware/otelguard"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
	"github.com/google/go-cmp/cmp"
)

// A store that is measured keeps the contract, as one that is not.
func TestMeasuredStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	o, _ := newTelemetry(t, nil)
	storetest.TestRecords(t, func(testing.TB) keys.Store { return o.Records(storetest.NewFaults(new(store.Memory))) },
		&storetest.Options[keys.Store]{Race: 10 * time.Millisecond})
}

// A store has each of the optional interfaces that the one behind it has, and no other.
func TestOptionalInterfaces(t *testing.T) {
	t.Parallel()
	o, _ := newTelemetry(t, nil)
	m := storetest.NewFaults(new(store.Memory))
	f := &feedStore{Store: m}
	for _, of := range []keys.Store{
		struct{ keys.Store }{m},
		struct {
			keys.Store
			keys.UseStore
		}{m, m},
		struct {
			keys.Store
			keys.CountStore
		}{m, m},
		struct {
			keys.Store
			keys.OrgStore
		}{m, m},
		struct {
			keys.Store
			keys.BatchStore
		}{m, noBatch{}},
		f,
		m,
		struct {
			keys.Store
			keys.UseStore
			keys.CountStore
			keys.OrgStore
			keys.BatchStore
			keys.Feed
			keys.TrailStore
		}{m, m, m, m, noBatch{}, f, m},
		struct {
			keys.Store
			keys.TrailStore
		}{m, m},
	} {
		got := o.Records(of)
		if diff := cmp.Diff(interfaces(of), interfaces(got)); diff != "" || got == of {
			t.Error(diff)
		}
	}
}

// Each set of optional interfaces has a type.
func TestSets(t *testing.T) {
	t.Parallel()
	for set := range 1 << len(names) {
		var want []string
		for i, name := range names {
			if set&(1<<i) != 0 {
				want = append(want, name)
			}
		}
		if diff := cmp.Diff(want, interfaces(otelguard.Join(set))); diff != "" {
			t.Errorf("%b: %s", set, diff)
		}
	}
}

// names are the optional interfaces, in the order of their bits.
var names = []string{"UseStore", "CountStore", "OrgStore", "BatchStore", "Feed", "TrailStore"}

// interfaces returns the names of the optional interfaces that a store has.
func interfaces(s keys.Store) (all []string) {
	_, uses := s.(keys.UseStore)
	_, count := s.(keys.CountStore)
	_, orgs := s.(keys.OrgStore)
	_, batch := s.(keys.BatchStore)
	_, feed := s.(keys.Feed)
	_, trail := s.(keys.TrailStore)
	for i, is := range []bool{uses, count, orgs, batch, feed, trail} {
		if is {
			all = append(all, names[i])
		}
	}
	return all
}

// noBatch makes no transaction of a batch.
type noBatch struct{}

func (noBatch) Batch(ctx context.Context, f func(context.Context) error) error { return f(ctx) }

// This package knows each optional interface of package keys. Others would be hidden.
func TestNoInterfaceIsForgotten(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../keys/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := []string{}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if spec, is := n.(*ast.TypeSpec); is && spec.Name.IsExported() && !strings.HasSuffix(name, "_test.go") {
				if _, is := spec.Type.(*ast.InterfaceType); is {
					found = append(found, spec.Name.Name)
				}
			}
			return true
		})
	}
	known := append([]string{"Store"}, names...)
	slices.Sort(known)
	slices.Sort(found)
	if diff := cmp.Diff(known, found); diff != "" {
		t.Errorf("the interfaces of package keys have changed: does Records keep them?\n%s", diff)
	}
}

// Stores that are fast because of their type are returned as they are.
func TestFastStoresAreLeftAlone(t *testing.T) {
	o, r := newTelemetry(t, nil)
	m := new(store.Memory)
	cache, err := keys.NewCache(&feedStore{Store: m}, nil)
	if err != nil {
		t.Fatal(err)
	}
	leases, err := ratelimit.NewLeases(storetest.NewFaults(m), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []keys.Store{m, cache, struct{ *keys.Cache }{cache}, nil} {
		if got := o.Records(s); got != s {
			t.Errorf("%T became %T", s, got)
		}
	}
	for _, s := range []ratelimit.Store{m, &m.Memory, leases, struct{ *ratelimit.Leases }{leases}, nil} {
		if got := o.Limits(s); got != s {
			t.Errorf("%T became %T", s, got)
		}
	}
	manager, err := keys.NewManager(o.Records(m), nil)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := manager.Create(t.Context(), "acme", keys.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	text := issued.Text.Reveal()
	if n := testing.AllocsPerRun(10, func() { _, _ = manager.Verifier().Verify(context.Background(), text) }); n != 0 {
		t.Errorf("a check allocates %v times", n)
	}
	if got := r.all(); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

// Every call is reported under its name, with what came of it and how long it took.
func TestCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o, r := newTelemetry(t, nil)
		faults := storetest.NewFaults(new(store.Memory))
		ctx := t.Context()
		news := new(feedStore)
		news.down.Store(&keys.ErrNotAnnounced)
		s := o.Records(struct {
			keys.Store
			keys.UseStore
			keys.CountStore
			keys.OrgStore
			keys.BatchStore
			keys.Feed
			keys.TrailStore
		}{faults, faults, faults, faults, noBatch{}, news, faults})
		l := o.Limits(faults)
		canceled, cancel := context.WithCancel(ctx)
		cancel()
		limit := ratelimit.MustPerMinute(1)
		release := faults.Block(storetest.List)
		slow, stop := context.WithTimeout(ctx, 3*time.Second)
		defer stop()
		faults.Fail(storetest.Update, 1, fmt.Errorf("wrapped: %w", keys.ErrConflict))
		faults.Fail(storetest.Sweep, 1, errors.New("down"))
		faults.Fail(storetest.Orgs, 1, errors.ErrUnsupported)
		for _, call := range []func(){
			func() { _ = s.Insert(ctx, keys.Record{}) },
			func() { _, _, _ = s.Get(ctx, "x") },
			func() { _ = s.Update(ctx, keys.Record{}) },
			func() { _, _ = s.List(slow, keys.Query{}) },
			func() { _, _ = s.Sweep(ctx, time.Now(), 1) },
			func() { _ = s.(keys.UseStore).NoteUses(ctx, nil) },
			func() { _, _ = s.(keys.UseStore).LastUses(canceled, []string{"x"}) },
			func() { _, _ = s.(keys.CountStore).Count(ctx, "acme", keys.KindKey, time.Now(), 1) },
			func() { _, _ = s.(keys.OrgStore).Orgs(ctx, "", 1) },
			func() { _ = s.(keys.BatchStore).Batch(ctx, func(context.Context) error { return keys.ErrExists }) },
			func() { _ = s.(keys.Feed).Announce(ctx, "x", time.Second) },
			func() { _ = s.(keys.Feed).Withdraw(ctx, "x") },
			func() { _, _ = s.(keys.Feed).MarkIdle(ctx, time.Second) },
			func() { _, _ = s.(keys.Feed).Poll(ctx, "x", "") },
			func() { _, _ = s.(keys.Feed).LongestLease(ctx) },
			func() { _ = s.(keys.TrailStore).AddEntry(ctx, keys.Entry{}) },
			func() { _, _ = s.(keys.TrailStore).Chains(ctx, "acme") },
			func() { _, _ = s.(keys.TrailStore).Entries(ctx, "acme", "", 0, 1) },
			func() { _ = s.(keys.TrailStore).CutEntries(ctx, "acme", "", 1) },
			func() {
				_, _ = l.Take(ctx, ratelimit.Bucket{Space: "org", Name: "acme"}, limit, time.Now().Add(-time.Hour), 1)
			},
			func() { _, _ = l.Take(ctx, ratelimit.Bucket{Space: "org", Name: "acme"}, limit, time.Now(), 2) },
		} {
			call()
		}
		release()
		want := make(map[string]int64)
		for _, text := range []string{
			"insert invalid", "get not_found", "update conflict", "list timeout", "sweep error", "note_uses ok",
			"last_uses canceled", "count ok", "orgs unsupported", "batch exists", "announce ok", "withdraw ok", "mark_idle ok",
			"poll not_announced", "longest_lease ok", "add_entry invalid", "chains ok", "entries ok", "cut_entries not_found", "take ok", "take invalid",
		} {
			name, outcome, _ := strings.Cut(text, " ")
			want["claviger.store.call.duration claviger.call="+name+" claviger.outcome="+outcome] = 1
		}
		if diff := cmp.Diff(want, r.all()); diff != "" {
			t.Error(diff)
		}
		if got := r.last["claviger.store.call.duration claviger.call=list claviger.outcome=timeout"]; got != 3 {
			t.Errorf("a call of 3 s took %v", got)
		}
		if got := r.last["claviger.store.call.duration claviger.call=take claviger.outcome=ok"]; got != 0 {
			t.Errorf("a decision about an hour ago took %v", got)
		}
	})
}

// A failing store is down.
type failing struct{}

var errDown = errors.New("down")

func (failing) Insert(context.Context, keys.Record) error { return errDown }

func (failing) Get(context.Context, string) (rec, parent keys.Record, err error) {
	return rec, parent, errDown
}
func (failing) Update(context.Context, keys.Record) error               { return errDown }
func (failing) List(context.Context, keys.Query) ([]keys.Record, error) { return nil, errDown }
func (failing) Sweep(context.Context, time.Time, int) (int, error)      { return 0, errDown }
func (failing) NoteUses(context.Context, map[string]time.Time) error    { return errDown }

func (failing) LastUses(context.Context, []string) (map[string]time.Time, error) {
	return nil, errDown
}

func (failing) Count(context.Context, string, keys.Kind, time.Time, int) (int, error) {
	return 0, errDown
}

func (failing) Orgs(context.Context, string, int) ([]string, error)       { return nil, errDown }
func (failing) Batch(context.Context, func(context.Context) error) error  { return errDown }
func (failing) Announce(context.Context, string, time.Duration) error     { return errDown }
func (failing) Withdraw(context.Context, ...string) error                 { return errDown }
func (failing) MarkIdle(context.Context, time.Duration) ([]string, error) { return nil, errDown }

func (failing) LongestLease(context.Context) (time.Duration, error)     { return 0, errDown }
func (failing) AddEntry(context.Context, keys.Entry) error              { return errDown }
func (failing) Chains(context.Context, string) ([]keys.Chain, error)    { return nil, errDown }
func (failing) CutEntries(context.Context, string, string, int64) error { return errDown }

func (failing) Poll(context.Context, string, keys.Position) (keys.Changes, error) {
	return keys.Changes{}, errDown
}

func (failing) Entries(context.Context, string, string, int64, int) ([]keys.Entry, error) {
	return nil, errDown
}

func (failing) Take(context.Context, ratelimit.Bucket, ratelimit.Limit, time.Time, int) (ratelimit.Decision, error) {
	return ratelimit.Decision{}, errDown
}

// TestFailedCalls makes each call of a store that is down: each counts as failed, and
// returns the error.
func TestFailedCalls(t *testing.T) {
	t.Parallel()
	o, r := newTelemetry(t, nil)
	ctx := t.Context()
	type all interface {
		keys.Store
		keys.UseStore
		keys.CountStore
		keys.OrgStore
		keys.BatchStore
		keys.Feed
		keys.TrailStore
	}
	s, l := o.Records(failing{}).(all), o.Limits(failing{})
	want := make(map[string]int64)
	for name, call := range map[string]func() error{
		"insert":        func() error { return s.Insert(ctx, keys.Record{}) },
		"get":           func() error { _, _, err := s.Get(ctx, "x"); return err },
		"update":        func() error { return s.Update(ctx, keys.Record{}) },
		"list":          func() error { _, err := s.List(ctx, keys.Query{}); return err },
		"sweep":         func() error { _, err := s.Sweep(ctx, time.Now(), 1); return err },
		"note_uses":     func() error { return s.NoteUses(ctx, nil) },
		"last_uses":     func() error { _, err := s.LastUses(ctx, nil); return err },
		"count":         func() error { _, err := s.Count(ctx, "acme", keys.KindKey, time.Now(), 1); return err },
		"orgs":          func() error { _, err := s.Orgs(ctx, "", 1); return err },
		"batch":         func() error { return s.Batch(ctx, nil) },
		"announce":      func() error { return s.Announce(ctx, "x", time.Second) },
		"withdraw":      func() error { return s.Withdraw(ctx, "x") },
		"mark_idle":     func() error { _, err := s.MarkIdle(ctx, time.Second); return err },
		"poll":          func() error { _, err := s.Poll(ctx, "x", ""); return err },
		"longest_lease": func() error { _, err := s.LongestLease(ctx); return err },
		"add_entry":     func() error { return s.AddEntry(ctx, keys.Entry{}) },
		"chains":        func() error { _, err := s.Chains(ctx, "acme"); return err },
		"entries":       func() error { _, err := s.Entries(ctx, "acme", "", 0, 1); return err },
		"cut_entries":   func() error { return s.CutEntries(ctx, "acme", "", 1) },
		"take": func() error {
			_, err := l.Take(ctx, ratelimit.Bucket{Space: "org", Name: "acme"}, ratelimit.MustPerMinute(1), time.Now(), 1)
			return err
		},
	} {
		if err := call(); err != errDown {
			t.Errorf("%s: %v", name, err)
		}
		want["claviger.store.call.duration claviger.call="+name+" claviger.outcome=error"] = 1
	}
	if diff := cmp.Diff(want, r.all()); diff != "" {
		t.Error(diff)
	}
}
