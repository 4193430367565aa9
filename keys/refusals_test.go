package keys_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
)

// newRefusals returns a Refusals over a store.
func newRefusals(t *testing.T, s keys.Store, opts *keys.RefusalsOptions) *keys.Refusals {
	t.Helper()
	r, err := keys.NewRefusals(s, opts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// at returns a context with an address that ends in n.
func at(ctx context.Context, n int) context.Context {
	return keys.NewAddressContext(ctx, netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}))
}

func flush(t *testing.T, r *keys.Refusals) {
	t.Helper()
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Refusals that are alike make one entry, and other events make none.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s := new(store.Memory)
	m, r := newTrail(t, s), newRefusals(t, s, nil)
	client, err := m.Create(t.Context(), "acme", keys.Spec{Kind: keys.KindClient})
	if err != nil {
		t.Fatal(err)
	}
	passed := 0
	hook := r.Hook(func(context.Context, keys.Event) { passed++ })
	refuse := func(id, reason string, addr, times int) {
		for i := range times {
			hook(at(t.Context(), addr), keys.Event{
				Type: keys.Refused, Time: entryTime.Add(time.Duration(addr)*time.Second - time.Duration(i)*time.Millisecond),
				Org: "acme", ID: id, Kind: keys.KindKey, Reason: reason,
			})
		}
	}
	refuse("key_1", keys.ReasonMismatch, 1, 1000)
	refuse("key_1", keys.ReasonMismatch, 2, 1)
	refuse("key_1", keys.ReasonRevoked, 3, 2)
	refuse("key_2", keys.ReasonLimit, 4, 3)
	for _, reason := range []string{
		keys.ReasonNoCredential, keys.ReasonSeveral, keys.ReasonMalformed, keys.ReasonUnknown, keys.ReasonUnavailable, keys.ReasonCanceled,
	} {
		refuse("key_3", reason, 5, 1)
	}
	for _, e := range []keys.Event{
		{Type: keys.Accepted, Org: "acme", ID: "key_1"},
		{Type: keys.Revoked, Org: "acme", ID: "key_1"},
		{Type: keys.Refused, Org: "acme", Reason: keys.ReasonMismatch},                                                         // no ID
		{Type: keys.Refused, ID: "nobody", Reason: keys.ReasonMismatch, Time: entryTime},                                       // no such client
		{Type: keys.Refused, Org: "acme", ID: "sid", Kind: "session", Reason: keys.ReasonMismatch, Time: entryTime},            // not storable
		{Type: keys.Refused, Org: strings.Repeat("a", 300), ID: "key_1", Reason: keys.ReasonMismatch, Time: entryTime},         // nor this
		{Type: keys.Refused, ID: client.Record.ID, Reason: keys.ReasonMismatch, Time: entryTime.Add(10*time.Second + 999_999)}, // looked up
	} {
		hook(t.Context(), e)
	}
	if passed != 1006+6+7 {
		t.Errorf("%d events were passed on", passed)
	}
	flush(t, r)
	flush(t, r)
	want := []string{
		`client CLIENT created by ""`,
		`key key_1 refused by "" from 192.0.2.1 wrong_secret 1000 times`,
		`key key_1 refused by "" from 192.0.2.2 wrong_secret 1 times`,
		`key key_1 refused by "" from 192.0.2.3 revoked 2 times`,
		`key key_2 refused by "" from 192.0.2.4 rate_limited 3 times`,
		`client CLIENT refused by "" wrong_secret 1 times`,
	}
	if diff := cmp.Diff(want, trailOf(t, m, "acme", map[string]string{client.Record.ID: "CLIENT"})); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
	for e, err := range m.Entries(t.Context(), "acme", "", 1) {
		if err != nil || e.Seq == 2 && !e.Time.Equal(entryTime.Add(time.Millisecond)) {
			t.Errorf("the first of the refusals was at %v, %v", e.Time, err)
		}
	}
	if _, err := m.VerifyTrail(t.Context(), "acme"); err != nil {
		t.Error(err)
	}
	r.Hook(nil)(t.Context(), keys.Event{Type: keys.Refused})
}

// However many credentials, addresses and reasons there are, the entries of an
// interval are bounded, and every refusal is counted in one of them.
func TestRefusalsBounds(t *testing.T) {
	t.Parallel()
	s := new(store.Memory)
	m, r := newTrail(t, s), newRefusals(t, s, &keys.RefusalsOptions{Max: 60})
	hook := r.Hook(nil)
	refuse := func(org string, n int) {
		for i := range n {
			hook(at(t.Context(), i), keys.Event{Type: keys.Refused, Time: entryTime, Org: org, ID: fmt.Sprint("key_", i), Reason: keys.ReasonMismatch})
		}
	}
	refuse("", 1000)
	refuse("acme", 100)
	refuse("globex", 100)
	if n := r.Dropped(); n != 1000-7 {
		t.Errorf("%d refusals were dropped, want 993", n)
	}
	refuse("initech", 100)
	refuse("acme", 1) // which has its entry
	flush(t, r)
	for org, most := range map[string]int{"acme": keys.MaxOrgRefusals, "globex": keys.MaxOrgRefusals, "initech": 60 - 7 - 2*keys.MaxOrgRefusals} {
		n, sum := 0, int64(0)
		for e, err := range m.Entries(t.Context(), org, "", 0) {
			if err != nil {
				t.Fatal(err)
			}
			n, sum = n+1, sum+e.Count
		}
		if n != most || org == "acme" && sum != 101 || org == "globex" && sum != 100 {
			t.Errorf("%s has %d entries, want %d, about %d refusals", org, n, most, sum)
		}
	}
}

// What an actor may not do is a refusal, with the caller as the actor.
func TestRefusalsOfActors(t *testing.T) {
	t.Parallel()
	s := new(store.Memory)
	r := newRefusals(t, s, nil)
	m, err := keys.NewManager(s, &keys.Options{Format: partner, Catalog: catalog, Trail: true, Refusals: r, MaxKeys: 3})
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]string)
	create := func(name string, spec keys.Spec) keys.Issued {
		issued, err := m.Create(t.Context(), "acme", spec)
		if err != nil {
			t.Fatal(err)
		}
		names[issued.Record.ID] = name
		return issued
	}
	small := create("SMALL", keys.Spec{})
	big := create("BIG", keys.Spec{Scopes: []string{"webhooks:manage"}})
	client := create("CLIENT", keys.Spec{Kind: keys.KindClient, Scopes: []string{"webhooks:manage"}})
	create("THIRD", keys.Spec{})
	caller, err := m.Verifier().Verify(t.Context(), small.Text.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	ctx, actor := at(t.Context(), 1), m.As(caller)
	no, wide := false, []string{"webhooks:manage"}
	for name, call := range map[string]func() error{
		"create":              func() error { return errOf(actor.Create(ctx, keys.Spec{Scopes: wide})) },
		"create one too many": func() error { return errOf(actor.Create(ctx, keys.Spec{})) },
		"change": func() error {
			return errOf(actor.Change(ctx, keys.KindKey, small.Record.ID, keys.Change{Scopes: &wide}))
		},
		"resume": func() error {
			return errOf(actor.Change(ctx, keys.KindKey, big.Record.ID, keys.Change{Disabled: &no}))
		},
		"rotate, and keep the old one for a while": func() error {
			return errOf(actor.Rotate(ctx, small.Record.ID, keys.Rotation{Overlap: time.Hour}))
		},
		"rotate":            func() error { return errOf(actor.Rotate(ctx, big.Record.ID, keys.Rotation{})) },
		"rotate the secret": func() error { return errOf(actor.RotateSecret(ctx, client.Record.ID, 0)) },
		"revoke":            func() error { return actor.Revoke(ctx, keys.KindClient, client.Record.ID) },
		"revoke all below":  func() error { return errOf(actor.RevokeDescendants(ctx, keys.KindKey, big.Record.ID)) },
	} {
		if err := call(); err == nil {
			t.Errorf("%s went well", name)
		}
	}
	if err := actor.Revoke(ctx, keys.KindKey, "nobody"); !errors.Is(err, keys.ErrNotFound) { // which is none
		t.Error(err)
	}
	if err := m.Revoke(t.Context(), "acme", keys.KindKey, small.Record.ID); err != nil {
		t.Fatal(err)
	}
	if err := actor.Revoke(ctx, keys.KindKey, "anything"); !errors.Is(err, keys.ErrCallerEnded) {
		t.Error(err)
	}
	flush(t, r)
	got := make(map[string]bool)
	for _, line := range trailOf(t, m, "acme", names) {
		if strings.Contains(line, " refused ") {
			got[line] = true
		}
	}
	want := map[string]bool{
		`  refused by "SMALL" from 192.0.2.1 beyond_caller 1 times`:       true,
		`  refused by "SMALL" from 192.0.2.1 limit_reached 1 times`:       true,
		` SMALL refused by "SMALL" from 192.0.2.1 limit_reached 1 times`:  true,
		` SMALL refused by "SMALL" from 192.0.2.1 beyond_caller 1 times`:  true,
		` BIG refused by "SMALL" from 192.0.2.1 beyond_caller 3 times`:    true,
		` CLIENT refused by "SMALL" from 192.0.2.1 beyond_caller 2 times`: true,
		`  refused by "SMALL" from 192.0.2.1 caller_ended 1 times`:        true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
}

// A store that fails for a time loses nothing, and Run writes at every interval and
// at its end.
func TestRefusalsRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(failingTrail)
		s.down.Store(true)
		var failed []error
		m, r := newTrail(t, s), newRefusals(t, s, &keys.RefusalsOptions{OnError: func(err error) { failed = append(failed, err) }})
		hook := r.Hook(nil)
		refuse := func() {
			hook(t.Context(), keys.Event{Type: keys.Refused, Time: time.Now(), Org: "acme", ID: "key_1", Reason: keys.ReasonMismatch})
			hook(t.Context(), keys.Event{Type: keys.Refused, Time: time.Now(), ID: "nobody", Reason: keys.ReasonMismatch})
		}
		refuse()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		time.Sleep(keys.DefaultRefusalsInterval + time.Second) // on the test's own clock
		synctest.Wait()
		if len(failed) != 1 || failed[0] != errDown {
			t.Errorf("errors %v", failed)
		}
		refuse()
		s.down.Store(false)
		time.Sleep(keys.DefaultRefusalsInterval) // on the test's own clock
		refuse()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		want := []string{` key_1 refused by "" wrong_secret 2 times`, ` key_1 refused by "" wrong_secret 1 times`}
		if diff := cmp.Diff(want, trailOf(t, m, "acme", nil)); diff != "" {
			t.Errorf("trail (-want +got):\n%s", diff)
		}
	})
}

// A failingTrail is a Memory that is down at times.
type failingTrail struct {
	store.Memory
	down atomic.Bool
}

func (s *failingTrail) AddEntry(ctx context.Context, e keys.Entry) error {
	if s.down.Load() {
		return errDown
	}
	return s.Memory.AddEntry(ctx, e)
}

func (s *failingTrail) Get(ctx context.Context, id string) (rec, parent keys.Record, err error) {
	if s.down.Load() {
		return rec, parent, errDown
	}
	return s.Memory.Get(ctx, id)
}

// TestRefusalsThatAreLeftOut counts what can be in no trail, and what has a name that
// is too long for one.
func TestRefusalsThatAreLeftOut(t *testing.T) {
	t.Parallel()
	s := new(store.Memory)
	r := newRefusals(t, s, nil)
	m, err := keys.NewManager(s, &keys.Options{Format: partner, Catalog: catalog, Trail: true, Refusals: r})
	if err != nil {
		t.Fatal(err)
	}
	r.Hook(nil)(t.Context(), keys.Event{Type: keys.Refused, Org: "acme", Time: entryTime, Reason: keys.ReasonLimit}) // of nobody
	long := keys.Principal{Org: "acme", ID: strings.Repeat("s", 300), RateLimit: 600}
	if _, err := m.As(long).Create(t.Context(), keys.Spec{Scopes: []string{"keys:manage"}}); !errors.Is(err, keys.ErrBeyond) {
		t.Fatal(err)
	}
	flush(t, r)
	var actors []string
	for e, err := range m.Entries(t.Context(), "acme", "", 0) {
		if err != nil {
			t.Fatal(err)
		}
		actors = append(actors, e.Actor)
	}
	if len(actors) != 1 || actors[0] != ("host:" + long.ID)[:255] {
		t.Errorf("entries by %q", actors)
	}
}

// A gate is a trail whose entries wait until they are let through, and may fail then.
type gate struct {
	*store.Memory
	open chan error
}

func (g *gate) AddEntry(ctx context.Context, e keys.Entry) error {
	select {
	case err := <-g.open:
		if err != nil {
			return err
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	return g.Memory.AddEntry(ctx, e)
}

// TestRefusalsWithoutRoom cannot write refusals, and has no room to keep them then: they
// are dropped with their number, which stays. A store that is silent holds nobody up
// forever.
func TestRefusalsWithoutRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gate{new(store.Memory), make(chan error)}
		r := newRefusals(t, g, &keys.RefusalsOptions{Max: 1})
		refuse := func(id string, times int) {
			for range times {
				r.Hook(nil)(t.Context(), keys.Event{Type: keys.Refused, Org: "acme", ID: id, Kind: keys.KindKey, Time: entryTime, Reason: keys.ReasonLimit})
			}
		}
		refuse("key_1", 5)
		done := make(chan error, 1)
		go func() { done <- r.Flush(t.Context()) }()
		synctest.Wait()
		refuse("key_2", 1) // takes the room
		down := errors.New("down")
		g.open <- down
		if err := <-done; !errors.Is(err, down) || r.Dropped() != 5 {
			t.Errorf("%v, %d dropped", err, r.Dropped())
		}
		began := time.Now()
		if err := r.Flush(t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 5*time.Second || r.Dropped() != 5 {
			t.Errorf("%v after %v, %d dropped", err, time.Since(began), r.Dropped())
		}
	})
}

// TestRefusalsWhileOthersWrite flushes while another one writes: what was counted before
// is written when it returns.
func TestRefusalsWhileOthersWrite(t *testing.T) {
	t.Parallel()
	g := &gate{new(store.Memory), make(chan error)}
	m, r := newTrail(t, g), newRefusals(t, g, nil)
	r.Hook(nil)(t.Context(), keys.Event{Type: keys.Refused, Org: "acme", ID: "key_1", Kind: keys.KindKey, Time: entryTime, Reason: keys.ReasonLimit})
	first, second := make(chan error), make(chan int)
	go func() { first <- r.Flush(t.Context()) }()
	for r.Counted() > 0 {
		runtime.Gosched()
	}
	go func() {
		_ = r.Flush(t.Context()) // writes nothing itself
		second <- len(trailOf(t, m, "acme", nil))
	}()
	for range 100 {
		runtime.Gosched() // in which it returns, if it does not wait
	}
	g.open <- nil
	if err, n := <-first, <-second; err != nil || n != 1 {
		t.Errorf("%v; %d entries when the second one returned", err, n)
	}
}
