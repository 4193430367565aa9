package keys_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/storetest"
	"github.com/google/go-cmp/cmp"
)

// TestListsOfTheLive leaves out what is revoked.
func TestListsOfTheLive(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	var want []string
	for i := range 25 {
		rec := goodRecord(t, keys.KindKey)
		rec.ID = fmt.Sprintf("key_%02d", i)
		if i%2 == 0 {
			rec.RevokedAt = rec.CreatedAt
		} else {
			want = append(want, rec.ID)
		}
		env.insert(rec)
	}
	for _, size := range []int{0, 1, 3, 100} {
		seq := env.manager.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindKey, Live: true, Limit: size})
		for range 2 { // the iterator can be used again
			var got []string
			for rec, err := range seq {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, rec.ID)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("pages of %d:\n%s", size, diff)
			}
		}
	}
	lists := env.faults.Calls(storetest.List)
	for range env.manager.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 5}) {
	}
	if n := env.faults.Calls(storetest.List) - lists; n != 6 {
		t.Errorf("%d pages of 5 for 25 records", n)
	}
	if err := first(env.manager.List(t.Context(), keys.Query{Org: "acme", Kind: "x"})); !errors.Is(err, keys.ErrInvalid) {
		t.Errorf("an unknown kind: %v", err)
	}
}

// TestListsThatAreWrong gives the manager lists of a store that makes mistakes:
// what is another's must not be seen.
func TestListsThatAreWrong(t *testing.T) {
	t.Parallel()
	for name, corrupt := range map[string]func(*keys.Record){
		"of another organization": func(r *keys.Record) { r.Org = "globex" },
		"of another kind":         func(r *keys.Record) { r.Kind = keys.KindClient },
		"revoked":                 func(r *keys.Record) { r.RevokedAt = now() },
		"before the cursor":       func(r *keys.Record) { r.ID = "a" },
	} {
		env := newEnv(t, nil)
		env.create(keys.Spec{})
		env.faults.Corrupt(storetest.List, storetest.Always, corrupt)
		n := 0
		for rec, err := range env.manager.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindKey, Live: true, After: "b"}) {
			if n++; !errors.Is(err, keys.ErrCorrupt) || !errors.Is(err, keys.ErrUnavailable) || rec != (keys.Record{}) {
				t.Errorf("%s: %v, %v", name, rec, err)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d steps", name, n)
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	rec := env.create(keys.Spec{}).Record
	odd := goodRecord(t, keys.KindKey)
	odd.ID, odd.Org = "an ID/of another system", "globex"
	env.insert(odd)
	for _, want := range []keys.Record{rec, odd} {
		got, err := env.manager.Find(t.Context(), want.ID)
		if diff := cmp.Diff(want, got, cmpRecords); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
	}
	reads := env.faults.Calls(storetest.Get)
	for _, id := range []string{"", "\x00", "\xff", strings.Repeat("a", 256)} {
		if _, err := env.manager.Find(t.Context(), id); !errors.Is(err, keys.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
	for _, id := range []string{odd.ID, "a:b", "a+b", "ü"} { // which no format has
		if _, err := env.manager.Get(t.Context(), odd.Org, "", id); !errors.Is(err, keys.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if n := env.faults.Calls(storetest.Get) - reads; n != 0 {
		t.Errorf("%d reads for IDs that nobody has", n)
	}
	if _, err := env.manager.Find(t.Context(), "nobody"); !errors.Is(err, keys.ErrNotFound) || errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("nobody: %v", err)
	}
	if _, err := env.manager.Get(t.Context(), "acme", keys.KindClient, rec.ID); err != keys.ErrNotFound {
		t.Errorf("as another kind: %v", err)
	}
	env.faults.Corrupt(storetest.Get, 1, func(r *keys.Record) { r.ID += "x" })
	if got, err := env.manager.Get(t.Context(), "acme", "", rec.ID); !errors.Is(err, keys.ErrCorrupt) || !errors.Is(err, keys.ErrUnavailable) || got != (keys.Record{}) {
		t.Errorf("another record: %v, %v", got, err)
	}
}

// TestCount counts by a store that can, and by lists.
func TestCount(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	for i := range 30 {
		rec := goodRecord(t, keys.KindKey)
		switch rec.ID = fmt.Sprintf("key_%02d", i); i % 3 {
		case 0:
			rec.RevokedAt = rec.CreatedAt
		case 1:
			rec.ExpiresAt = now().Add(-time.Hour)
		case 2:
			rec.DisabledAt, rec.ExpiresAt = rec.CreatedAt, now().Add(time.Hour) // counts
		}
		env.insert(rec)
	}
	createClient(t, env, keys.Spec{})
	counting, err := keys.NewManager(env.faults, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]*keys.Manager{"by lists": env.manager, "by the store": counting} {
		for _, tt := range []struct {
			org        string
			kind       keys.Kind
			most, want int
		}{
			{"acme", keys.KindKey, 1000, 10},
			{"acme", keys.KindKey, 11, 10},
			{"acme", keys.KindKey, 10, 10},
			{"acme", keys.KindKey, 9, 9},
			{"acme", keys.KindKey, 1, 1},
			{"acme", keys.KindClient, 10, 1},
			{"globex", keys.KindKey, 10, 0},
		} {
			if n, err := m.Count(t.Context(), tt.org, tt.kind, tt.most); n != tt.want || err != nil {
				t.Errorf("%s: %d %ss of %s, at most %d: %v", name, n, tt.kind, tt.org, tt.most, err)
			}
		}
		asked := env.faults.Calls(storetest.Count)
		for _, q := range []keys.Query{
			{Org: "acme", Kind: keys.KindKey, Limit: 0},
			{Org: "acme", Kind: keys.KindKey, Limit: -1},
			{Org: "", Kind: keys.KindKey, Limit: 1},
			{Org: "a\xff", Kind: keys.KindKey, Limit: 1},
			{Org: "acme", Kind: "thing", Limit: 1},
		} {
			if n, err := m.Count(t.Context(), q.Org, q.Kind, q.Limit); n != 0 || !errors.Is(err, keys.ErrInvalid) {
				t.Errorf("%s, of %+v: %d, %v", name, q, n, err)
			}
		}
		if env.faults.Calls(storetest.Count) != asked {
			t.Errorf("%s: the store was asked in vain", name)
		}
		env.faults.Fail(storetest.List, storetest.Always, errDown)
		env.faults.Fail(storetest.Count, storetest.Always, errDown)
		if n, err := m.Count(t.Context(), "acme", keys.KindKey, 5); n != 0 || !errors.Is(err, keys.ErrUnavailable) || !errors.Is(err, errDown) {
			t.Errorf("%s, when the store is down: %d, %v", name, n, err)
		}
		env.faults.Heal()
	}
	if env.faults.Calls(storetest.Count) == 0 {
		t.Error("the store was never asked to count")
	}
}

// countless is a store that counts further than it is asked to.
type countless struct{ keys.Store }

func (countless) Count(context.Context, string, keys.Kind, time.Time, int) (int, error) {
	return 9, nil
}

// TestCountIsBounded gives it a store that does not stop counting.
func TestCountIsBounded(t *testing.T) {
	t.Parallel()
	m, err := keys.NewManager(countless{newEnv(t, nil).store}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := m.Count(t.Context(), "acme", keys.KindKey, 3); n != 3 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// lost is a store that returns the same organization again and again.
type lost struct{ keys.Store }

func (lost) Orgs(context.Context, string, int) ([]string, error) { return []string{"a", "a"}, nil }

func TestOrgs(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	m, err := keys.NewManager(env.faults, nil)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for i := range 230 {
		rec := goodRecord(t, keys.KindKey)
		rec.ID, rec.Org = fmt.Sprintf("key_%d", i), fmt.Sprintf("org%03d", i)
		want = append(want, rec.Org)
		env.insert(rec)
	}
	walk := func(after string) (got []string) {
		seq := m.Orgs(t.Context(), after)
		for range 2 { // the iterator can be used again
			got = nil
			for org, err := range seq {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, org)
			}
		}
		return got
	}
	if got := walk(""); !slices.Equal(got, want) {
		t.Errorf("%d organizations: %v", len(got), got)
	}
	if got := walk("org100"); !slices.Equal(got, want[101:]) {
		t.Errorf("%d organizations after one: %v", len(got), got)
	}
	for org := range m.Orgs(t.Context(), "") {
		if org != "org000" {
			t.Errorf("the first is %q", org)
		}
		break
	}
	env.faults.Fail(storetest.Orgs, 1, errDown)
	if err := first(m.Orgs(t.Context(), "")); !errors.Is(err, errDown) || !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("a store that fails: %v", err)
	}
	if err := first(env.manager.Orgs(t.Context(), "")); !errors.Is(err, errors.ErrUnsupported) || errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("a store that cannot: %v", err)
	}
	broken, err := keys.NewManager(lost{env.store}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var last error
	for _, last = range broken.Orgs(t.Context(), "") {
	}
	if !errors.Is(last, keys.ErrCorrupt) {
		t.Errorf("a list out of order: %v", last)
	}
}

// TestSweepInBatches removes more than one batch.
func TestSweepInBatches(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	clientRec, tokenRec, _, _ := pair(t, env)
	for i := range 250 {
		tokenRec.ID, tokenRec.Parent = fmt.Sprintf("oauth_%d", i), clientRec.ID
		tokenRec.ExpiresAt = tokenRec.CreatedAt
		env.insert(tokenRec)
	}
	if n, err := env.manager.Sweep(t.Context(), now().Add(time.Second)); n != 250 || err != nil {
		t.Errorf("swept %d, %v", n, err)
	}
	if n := env.faults.Calls(storetest.Sweep); n != 3 {
		t.Errorf("in %d batches", n)
	}
	env.insert(tokenRec)
	env.faults.Lose(storetest.Sweep, 1, errDown)
	if _, err := env.manager.Sweep(t.Context(), now().Add(time.Second)); !errors.Is(err, keys.ErrUnavailable) || !errors.Is(err, errDown) {
		t.Errorf("a store that fails: %v", err)
	}
}
