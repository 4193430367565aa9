package storetest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

var (
	errDown = errors.New("database is down")
	errLost = errors.New("connection reset")
)

const digestText = "$sha256$v=1$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"

func record(t testing.TB, kind keys.Kind, id string) keys.Record {
	t.Helper()
	d, err := keys.ParseDigest(digestText)
	if err != nil {
		t.Fatal(err)
	}
	r := keys.Record{ID: id, Kind: kind, Org: "acme", RateLimit: 600, Digest: d, CreatedAt: time.UnixMilli(1e12), Version: 1}
	if kind == keys.KindToken {
		r.Parent, r.ExpiresAt = "cc_1", time.UnixMilli(2e12)
	}
	return r
}

// A call is one call of each method, and what it writes.
type call struct {
	method storetest.Method
	do     func(context.Context, store.Store) error
	done   func(store.Store) bool // whether the write was done; nil for reads
}

// calls returns calls that go well on the store of filled.
func calls(t testing.TB) []call {
	is := func(s store.Store, id string) bool {
		_, _, err := s.Get(context.Background(), id)
		return err == nil
	}
	bucket, limit := ratelimit.Bucket{Space: "org", Name: "acme"}, ratelimit.MustPerMinute(1)
	return []call{
		{
			storetest.Insert, func(ctx context.Context, s store.Store) error { return s.Insert(ctx, record(t, keys.KindKey, "key_2")) },
			func(s store.Store) bool { return is(s, "key_2") },
		},
		{storetest.Get, func(ctx context.Context, s store.Store) error {
			r, parent, err := s.Get(ctx, "oauth_2")
			if err != nil && (r != keys.Record{} || parent != keys.Record{}) {
				t.Errorf("Get failed, and returned %v and %v", r, parent)
			}
			return err
		}, nil},
		{
			storetest.Update, func(ctx context.Context, s store.Store) error { return s.Update(ctx, record(t, keys.KindKey, "key_1")) },
			func(s store.Store) bool {
				r, _, err := s.Get(context.Background(), "key_1")
				return err == nil && r.Version == 2
			},
		},
		{storetest.List, func(ctx context.Context, s store.Store) error {
			page, err := s.List(ctx, keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 10})
			if err != nil && page != nil {
				t.Errorf("List failed, and returned %v", page)
			}
			return err
		}, nil},
		{storetest.Sweep, func(ctx context.Context, s store.Store) error {
			n, err := s.Sweep(ctx, time.UnixMilli(3e12), 10)
			if err != nil && n != 0 {
				t.Errorf("Sweep failed, and returned %d", n)
			}
			return err
		}, func(s store.Store) bool { return !is(s, "oauth_1") }},
		{storetest.Take, func(ctx context.Context, s store.Store) error {
			d, err := s.Take(ctx, bucket, limit, time.UnixMilli(1e12), 1)
			if err != nil && d != (ratelimit.Decision{}) {
				t.Errorf("Take failed, and returned %v", d)
			}
			return err
		}, func(s store.Store) bool {
			d, err := s.Take(context.Background(), bucket, limit, time.UnixMilli(1e12), 1)
			return err == nil && !d.Allowed
		}},
		{
			storetest.NoteUses, func(ctx context.Context, s store.Store) error {
				return s.(keys.UseStore).NoteUses(ctx, map[string]time.Time{"key_1": time.UnixMilli(1e12)})
			},
			func(s store.Store) bool {
				uses, err := s.(keys.UseStore).LastUses(context.Background(), []string{"key_1"})
				return err == nil && len(uses) == 1
			},
		},
		{storetest.LastUses, func(ctx context.Context, s store.Store) error {
			uses, err := s.(keys.UseStore).LastUses(ctx, []string{"key_1"})
			if err != nil && uses != nil {
				t.Errorf("LastUses failed, and returned %v", uses)
			}
			return err
		}, nil},
		{storetest.Count, func(ctx context.Context, s store.Store) error {
			n, err := s.(keys.CountStore).Count(ctx, "acme", keys.KindKey, time.UnixMilli(1e12), 10)
			if (err == nil) != (n > 0) {
				t.Errorf("Count gave %d, %v", n, err)
			}
			return err
		}, nil},
		{storetest.Orgs, func(ctx context.Context, s store.Store) error {
			orgs, err := s.(keys.OrgStore).Orgs(ctx, "", 10)
			if (err == nil) != (len(orgs) == 1) {
				t.Errorf("Orgs gave %q, %v", orgs, err)
			}
			return err
		}, nil},
	}
}

// filled returns a store with the records that the calls are about: a key, a
// token that is dead, and one that is not, with its client.
func filled(t testing.TB) *store.Memory {
	t.Helper()
	m := new(store.Memory)
	live := record(t, keys.KindToken, "oauth_2")
	live.ExpiresAt = time.Time{}
	for _, r := range []keys.Record{record(t, keys.KindKey, "key_1"), record(t, keys.KindToken, "oauth_1"), live, record(t, keys.KindClient, "cc_1")} {
		if err := m.Insert(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// Without faults the wrapper is a store like the one within.
func TestFaultsConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes two seconds")
	}
	t.Parallel()
	storetest.Test(t, func(testing.TB) store.Store { return storetest.NewFaults(new(store.Memory)) }, nil)
}

func TestFaultsFail(t *testing.T) {
	t.Parallel()
	for _, c := range calls(t) {
		t.Run(c.method.String(), func(t *testing.T) {
			t.Parallel()
			m := filled(t)
			f := storetest.NewFaults(m)
			f.Fail(c.method, 2, errDown)
			for range 2 {
				if err := c.do(t.Context(), f); err != errDown {
					t.Errorf("got error %v, want %v", err, errDown)
				}
			}
			if c.done != nil && c.done(m) {
				t.Error("a call that was to fail reached the store")
			}
			if c.method == storetest.Take { // done took the only one
				return
			}
			if err := c.do(t.Context(), f); err != nil {
				t.Errorf("the third call failed: %v", err)
			}
			if got := f.Calls(c.method); got != 3 {
				t.Errorf("%d calls were counted, want 3", got)
			}
		})
	}
}

func TestFaultsLose(t *testing.T) {
	t.Parallel()
	for _, c := range calls(t) {
		t.Run(c.method.String(), func(t *testing.T) {
			t.Parallel()
			m := filled(t)
			f := storetest.NewFaults(m)
			f.Lose(c.method, 1, errLost)
			if err := c.do(t.Context(), f); err != errLost {
				t.Errorf("got error %v, want %v", err, errLost)
			}
			if c.done != nil && !c.done(m) {
				t.Error("the call whose answer was lost did not reach the store")
			}
		})
	}
}

// Faults of one method leave the others alone.
func TestFaultsAreSeparate(t *testing.T) {
	t.Parallel()
	for _, broken := range calls(t) {
		t.Run(broken.method.String(), func(t *testing.T) {
			t.Parallel()
			f := storetest.NewFaults(filled(t))
			f.Fail(broken.method, storetest.Always, errDown)
			for _, c := range calls(t) {
				var want error
				if c.method == broken.method {
					want = errDown
				}
				if err := c.do(t.Context(), f); err != want {
					t.Errorf("%v: got error %v, want %v", c.method, err, want)
				}
				if got := f.Calls(c.method); got != 1 {
					t.Errorf("%v: %d calls were counted, want 1", c.method, got)
				}
			}
		})
	}
}

func TestFaultsHeal(t *testing.T) {
	t.Parallel()
	f := storetest.NewFaults(filled(t))
	get := func() (keys.Record, error) {
		r, _, err := f.Get(t.Context(), "key_1")
		return r, err
	}
	f.Fail(storetest.Get, storetest.Always, errDown)
	for range 5 {
		if _, err := get(); err != errDown {
			t.Fatalf("got error %v, want %v", err, errDown)
		}
	}
	f.Fail(storetest.Get, 0, nil)
	if _, err := get(); err != nil {
		t.Errorf("after Fail of no calls: %v", err)
	}
	f.Fail(storetest.Get, 1, errDown)
	f.Lose(storetest.Get, storetest.Always, errLost)
	f.Corrupt(storetest.Get, storetest.Always, func(r *keys.Record) { r.Org = "others" })
	f.Block(storetest.Get)
	f.Heal()
	if r, err := get(); err != nil || r.Org != "acme" {
		t.Errorf("after Heal: %v, %v", r, err)
	}
	if got := f.Calls(storetest.Get); got != 7 {
		t.Errorf("%d calls were counted, want 7", got)
	}
}

func TestFaultsCorrupt(t *testing.T) {
	t.Parallel()
	m := filled(t)
	f := storetest.NewFaults(m)
	swap := func(r *keys.Record) { r.ID = "key_of_others" }
	f.Corrupt(storetest.Get, 1, swap)
	f.Corrupt(storetest.List, 1, swap)
	for _, want := range []string{"key_of_others", "key_1"} {
		r, _, err := f.Get(t.Context(), "key_1")
		if err != nil || r.ID != want {
			t.Errorf("Get gave %q, %v; want %q", r.ID, err, want)
		}
		page, err := f.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 10})
		if err != nil || len(page) != 1 || page[0].ID != want {
			t.Errorf("List gave %v, %v; want %q alone", page, err, want)
		}
	}
	for _, method := range []storetest.Method{
		storetest.Insert, storetest.Update, storetest.Sweep, storetest.Take,
		storetest.NoteUses, storetest.LastUses, storetest.Count, storetest.Orgs,
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Corrupt of %v did not panic", method)
				}
			}()
			f.Corrupt(method, 1, swap)
		}()
	}
}

func TestFaultsBlock(t *testing.T) {
	t.Parallel()
	for _, c := range calls(t) {
		t.Run(c.method.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := filled(t)
				f := storetest.NewFaults(m)
				first, second := f.Block(c.method), f.Block(c.method)

				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if err := c.do(ctx, f); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got error %v, want the context's", err)
				}

				var wg sync.WaitGroup
				err := errLost
				wg.Go(func() { err = c.do(t.Context(), f) })
				first()
				first()
				synctest.Wait()
				if err != errLost {
					t.Errorf("the call went on with %v before the last release", err)
				}
				if got := f.Calls(c.method); got != 2 {
					t.Errorf("%d calls were counted, want 2", got)
				}
				second()
				wg.Wait()
				if err != nil {
					t.Errorf("after the last release: %v", err)
				}
			})
		})
	}
}

// A release that comes after Heal does not open the next block.
func TestFaultsLateRelease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := storetest.NewFaults(filled(t))
		late := f.Block(storetest.Get)
		f.Heal()
		defer f.Block(storetest.Get)()
		late()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := f.Get(ctx, "key_1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got error %v, want that of a call that is blocked", err)
		}
	})
}

// Of many calls at once, exactly as many fail as were asked for.
func TestFaultsConcurrent(t *testing.T) {
	t.Parallel()
	f := storetest.NewFaults(filled(t))
	f.Fail(storetest.Get, 30, errDown)
	var mu sync.Mutex
	var wg sync.WaitGroup
	failed := 0
	for range 10 {
		wg.Go(func() {
			for range 10 {
				if _, _, err := f.Get(t.Context(), "key_1"); err != nil {
					mu.Lock()
					failed++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if failed != 30 || f.Calls(storetest.Get) != 100 {
		t.Errorf("%d of %d calls failed, want 30 of 100", failed, f.Calls(storetest.Get))
	}
}

func TestFaultsMisuse(t *testing.T) {
	t.Parallel()
	for name, misuse := range map[string]func(){
		"nil store":          func() { storetest.NewFaults(nil) },
		"fail without error": func() { storetest.NewFaults(new(store.Memory)).Fail(storetest.Get, 1, nil) },
		"lose without error": func() { storetest.NewFaults(new(store.Memory)).Lose(storetest.Get, 1, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if recover() == nil {
					t.Error("did not panic")
				}
			}()
			misuse()
		})
	}
}
