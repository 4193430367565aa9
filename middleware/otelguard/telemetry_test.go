package otelguard_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/middleware/guardtest"
	"github.com/claviger-auth/claviger/middleware/otelguard"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"
)

var catalog = scopes.MustCatalog(scopes.Scope{Name: "read"})

// Everything that can become of a request, through a real guard: what is counted, and
// what the span says.
func TestRequests(t *testing.T) {
	t.Parallel()
	o, r := newTelemetry(t, nil)
	host := guardtest.New(t, &keys.Options{Catalog: catalog, Hook: o.Event}, &middleware.Options{Hook: o.Event})
	h := host.Guard.Require("read")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	reader := host.Issue("acme", keys.Spec{Scopes: []string{"read"}})
	other := host.Issue("acme", keys.Spec{})
	revoked := host.Issue("acme", keys.Spec{})
	host.Revoke(revoked)
	few := host.Issue("globex", keys.Spec{Scopes: []string{"read"}, RateLimit: 1})
	old := host.Issue("initech", keys.Spec{Scopes: []string{"read"}})
	successor, err := host.Manager.Rotate(t.Context(), "initech", old.Record.ID, keys.Rotation{Overlap: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	ended := host.Issue("initech", keys.Spec{})
	if _, err := host.Manager.Rotate(t.Context(), "initech", ended.Record.ID, keys.Rotation{Overlap: time.Hour}); err != nil {
		t.Fatal(err)
	}
	host.Revoke(ended)
	unknown := guardtest.New(t, &keys.Options{Catalog: catalog}, nil).Key("acme")
	want := map[string]int64{
		"claviger.changes claviger.change=created claviger.kind=key claviger.outcome=ok": 8, // and the successors
		"claviger.changes claviger.change=revoked claviger.kind=key claviger.outcome=ok": 2,
		"claviger.changes claviger.change=rotated claviger.kind=key claviger.outcome=ok": 2,
	}
	if diff := cmp.Diff(want, r.all()); diff != "" {
		t.Error(diff)
	}

	id := func(i keys.Issued) string { return i.Record.ID }
	for _, tt := range []struct {
		name, credential  string
		kind, outcome, id string
		org, limit        string
		replaced          bool
	}{
		{"admitted", reader.Text.Reveal(), "key", "accepted", id(reader), "acme", "admitted", false},
		{"nothing", "", "none", "no_credential", "", "", "", false},
		{"junk", "junk", "none", "malformed", "", "", "", false},
		{"unknown", unknown, "none", "unknown", "", "", "", false},
		{"revoked", revoked.Text.Reveal(), "key", "revoked", id(revoked), "acme", "", false},
		{"without the scope", other.Text.Reveal(), "key", "insufficient_scope", id(other), "acme", "admitted", false},
		{"the last of the quota", few.Text.Reveal(), "key", "accepted", id(few), "globex", "admitted", false},
		{"over the limit", few.Text.Reveal(), "key", "rate_limited", id(few), "globex", "refused", false},
		{"with a successor", old.Text.Reveal(), "key", "accepted", id(old), "initech", "admitted", true},
		{"the successor", successor.Text.Reveal(), "key", "accepted", id(successor), "initech", "admitted", false},
		{"ended, with a successor", ended.Text.Reveal(), "key", "revoked", id(ended), "initech", "", true},
	} {
		s := &span{attributes: make(map[string]string)}
		req := httptest.NewRequest("GET", "/", nil).WithContext(trace.ContextWithSpan(t.Context(), s))
		if tt.credential != "" {
			req.Header.Set("Authorization", "Bearer "+tt.credential)
		}
		h.ServeHTTP(httptest.NewRecorder(), req)

		want := map[string]int64{"claviger.requests claviger.kind=" + tt.kind + " claviger.outcome=" + tt.outcome: 1}
		if tt.limit != "" {
			want["claviger.limit.decisions claviger.outcome="+tt.limit] = 1
		}
		if tt.replaced {
			want["claviger.replaced_uses claviger.outcome="+tt.outcome] = 1
		}
		if diff := cmp.Diff(want, r.all()); diff != "" {
			t.Errorf("%s:\n%s", tt.name, diff)
		}
		attributes := map[string]string{"claviger.kind": tt.kind, "claviger.outcome": tt.outcome}
		if tt.org != "" {
			attributes["claviger.org"], attributes["claviger.id"] = tt.org, tt.id
		}
		if diff := cmp.Diff(attributes, s.attributes); diff != "" {
			t.Errorf("%s:\n%s", tt.name, diff)
		}
		if _, secret, found := strings.Cut(tt.credential, "."); found && strings.Contains(fmt.Sprint(s.attributes), secret) {
			t.Errorf("%s: a secret in %v", tt.name, s.attributes)
		}
	}
}

// A store that is down is an error of the span, and IDs can be left out.
func TestSpans(t *testing.T) {
	t.Parallel()
	o, r := newTelemetry(t, &otelguard.Options{OmitIDs: true})
	host := guardtest.New(t, nil, &middleware.Options{Hook: o.Event})
	h := host.Guard.Authenticated()(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	key := host.Key("acme")
	ask := func() *span {
		s := &span{attributes: make(map[string]string)}
		req := httptest.NewRequest("GET", "/", nil).WithContext(trace.ContextWithSpan(t.Context(), s))
		req.Header.Set("Authorization", "Bearer "+key)
		h.ServeHTTP(httptest.NewRecorder(), req)
		return s
	}
	if s := ask(); s.attributes["claviger.outcome"] != "accepted" || len(s.attributes) != 2 || s.errs != nil {
		t.Errorf("%v, %v", s.attributes, s.errs)
	}
	down := errors.New("down")
	host.Faults.Fail(storetest.Get, 1, down)
	if s := ask(); s.attributes["claviger.outcome"] != "unavailable" || len(s.errs) != 1 || !errors.Is(s.errs[0], down) {
		t.Errorf("%v, %v", s.attributes, s.errs)
	}
	r.all()
}

// Reasons and kinds that a host makes up get no series of their own. Clients at the token
// endpoint do not count as decisions on a limit.
func TestSeriesAreFew(t *testing.T) {
	t.Parallel()
	o, r := newTelemetry(t, nil)
	for i := range 100 {
		text := fmt.Sprint("made up ", i)
		o.Event(t.Context(), keys.Event{Type: keys.Refused, Reason: text, Kind: keys.Kind(text), Org: text, ID: text})
		o.Event(t.Context(), keys.Event{Type: keys.Accepted, Kind: keys.KindClient, Org: text, ID: text})
		o.Event(t.Context(), keys.Event{Type: keys.Accepted, Org: text, ID: text})
		o.Event(t.Context(), keys.Event{Type: keys.Changed, Kind: keys.KindToken, Org: text, ID: text, Err: errors.New(text)})
		o.LimiterFailure(t.Context(), ratelimit.Bucket{Space: "org", Name: text}, errors.New(text))
	}
	want := map[string]int64{
		"claviger.requests claviger.kind=other claviger.outcome=other":                        100,
		"claviger.requests claviger.kind=client claviger.outcome=accepted":                    100,
		"claviger.requests claviger.kind=none claviger.outcome=accepted":                      100,
		"claviger.limit.decisions claviger.outcome=admitted":                                  100,
		"claviger.changes claviger.change=changed claviger.kind=token claviger.outcome=error": 100,
		"claviger.limit.failures claviger.space=org":                                          100,
	}
	if diff := cmp.Diff(want, r.all()); diff != "" {
		t.Error(diff)
	}
}

// A limiter reports decisions that it makes without its store.
func TestLimiterFailure(t *testing.T) {
	t.Parallel()
	o, r := newTelemetry(t, nil)
	faults := storetest.NewFaults(new(store.Memory))
	l, err := ratelimit.NewLimiter(o.Limits(faults), &ratelimit.Options{Hook: o.LimiterFailure})
	if err != nil {
		t.Fatal(err)
	}
	faults.Fail(storetest.Take, 1, errors.New("down"))
	for range 2 {
		if d, err := l.Take(t.Context(), "acme", ratelimit.MustPerMinute(10), 1); err != nil || !d.Allowed {
			t.Error(d, err)
		}
	}
	want := map[string]int64{
		"claviger.limit.failures claviger.space=org":                             1,
		"claviger.store.call.duration claviger.call=take claviger.outcome=error": 1,
		"claviger.store.call.duration claviger.call=take claviger.outcome=ok":    1,
	}
	if diff := cmp.Diff(want, r.all()); diff != "" {
		t.Error(diff)
	}
}

func TestNewFails(t *testing.T) {
	t.Parallel()
	if _, err := otelguard.New(nil, nil); err == nil {
		t.Error("no provider went well")
	}
	down := errors.New("down")
	if _, err := otelguard.New(provider{r: &recorder{fail: down}}, nil); !errors.Is(err, down) {
		t.Error(err)
	}
	o, r := newTelemetry(t, nil)
	r.fail = down
	if _, err := o.ObserveCache(nil); !errors.Is(err, down) {
		t.Error(err)
	}
	if _, err := o.ObserveLeases(nil); !errors.Is(err, down) {
		t.Error(err)
	}
	if _, err := o.ObserveUses(nil); !errors.Is(err, down) {
		t.Error(err)
	}
}

// The figures of a cache, of leases and of uses are read when somebody collects them.
func TestObserve(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o, r := newTelemetry(t, nil)
		db := &feedStore{Store: storetest.NewFaults(new(store.Memory))}
		cache, err := keys.NewCache(o.Records(db), nil)
		if err != nil {
			t.Fatal(err)
		}
		leases, err := ratelimit.NewLeases(o.Limits(storetest.NewFaults(new(store.Memory))), nil)
		if err != nil {
			t.Fatal(err)
		}
		uses, err := keys.NewUses(new(store.Memory), &keys.UsesOptions{Max: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, observe := range []func() error{
			func() error { _, err := o.ObserveCache(cache); return err },
			func() error { _, err := o.ObserveLeases(leases); return err },
			func() error { _, err := o.ObserveUses(uses); return err },
		} {
			if err := observe(); err != nil {
				t.Fatal(err)
			}
		}
		if _, found := r.collect(t)["claviger.feed.age"]; found {
			t.Error("the feed has an age before it was asked")
		}

		manager, err := keys.NewManager(cache, nil)
		if err != nil {
			t.Fatal(err)
		}
		issued, err := manager.Create(t.Context(), "acme", keys.Spec{})
		if err != nil {
			t.Fatal(err)
		}
		other, err := manager.Create(t.Context(), "acme", keys.Spec{})
		if err != nil {
			t.Fatal(err)
		}
		verify := func(i keys.Issued) {
			if _, err := manager.Verifier().Verify(t.Context(), i.Text.Reveal()); err != nil {
				t.Error(err)
			}
		}
		verify(issued) // before the cache runs: a lapse, which keeps what it reads
		ctx, cancel := context.WithCancel(t.Context())
		go cache.Run(ctx)
		synctest.Wait()
		verify(issued)
		verify(other)
		verify(other)
		uses.Note("a", time.Now())
		uses.Note("b", time.Now())
		limit := ratelimit.MustPerMinute(6000)
		for i := range 100 {
			if i%10 == 0 {
				time.Sleep(10 * time.Millisecond) // on the test's own clock
			}
			if _, err := leases.Take(t.Context(), ratelimit.Bucket{Space: "org", Name: "acme"}, limit, time.Now(), 1); err != nil {
				t.Fatal(err)
			}
		}
		stats := leases.Stats()
		want := map[string]float64{
			"claviger.cache.lookups claviger.outcome=hit":         2,
			"claviger.cache.lookups claviger.outcome=miss":        1,
			"claviger.cache.lookups claviger.outcome=lapse":       1,
			"claviger.cache.records":                              2,
			"claviger.feed.failures":                              0,
			"claviger.feed.age":                                   0.1,
			"claviger.leases.decisions claviger.outcome=admitted": float64(stats.Leased),
			"claviger.leases.decisions claviger.outcome=refused":  0,
			"claviger.leases.trips":                               float64(stats.Trips),
			"claviger.uses.dropped":                               1,
		}
		if diff := cmp.Diff(want, r.collect(t)); diff != "" || stats.Trips == 0 || stats.Leased == 0 {
			t.Errorf("%s, %+v", diff, stats)
		}
		db.down.Store(new(errors.New("down")))
		time.Sleep(time.Second) // on the test's own clock
		synctest.Wait()
		if got := r.collect(t); got["claviger.feed.age"] != 1.1 || got["claviger.feed.failures"] != 4 {
			t.Errorf("%v", got)
		}
		cancel()
		synctest.Wait()
	})
}

// A feedStore is a store with a feed that never has news.
type feedStore struct {
	keys.Store
	down atomic.Pointer[error] // of polls; nil if they go well
}

func (*feedStore) Announce(context.Context, string, time.Duration) error { return nil }
func (*feedStore) Withdraw(context.Context, ...string) error             { return nil }
func (*feedStore) MarkIdle(context.Context, time.Duration) ([]string, error) {
	return nil, nil
}

func (s *feedStore) Poll(context.Context, string, keys.Position) (keys.Changes, error) {
	if err := s.down.Load(); err != nil {
		return keys.Changes{}, *err
	}
	return keys.Changes{}, nil
}
func (*feedStore) LongestLease(context.Context) (time.Duration, error) { return 0, nil }
