package keys_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store/storetest"
)

// A hung is a manager over a store with a method that hangs.
type hung struct {
	*env
	actor            keys.Actor
	key, client      keys.Issued
	counting, plains *keys.Manager // over a CountStore and OrgStore, and over a store that is neither
}

func newHung(t *testing.T, opts *keys.Options) *hung {
	t.Helper()
	h := &hung{env: newEnv(t, opts)}
	h.actor = h.manager.As(caller(t, h.env, admin))
	h.key, h.client = h.create(admin), createClient(t, h.env, admin)
	h.plains = h.manager
	var err error
	if h.counting, err = keys.NewManager(struct {
		keys.Store
		keys.CountStore
		keys.OrgStore
	}{h.faults, h.faults, h.faults}, &keys.Options{Format: partner}); err != nil {
		t.Fatal(err)
	}
	return h
}

// A deaf store waits until it is told to stop, and then says that it is down.
type deaf struct{ keys.Store }

func (deaf) Update(ctx context.Context, _ keys.Record) error {
	<-ctx.Done()
	return errDown
}

// TestBoundsAreNotTheCallers has a call of the store end by the manager's own bound: the
// error does not say that the caller's time is over.
func TestBoundsAreNotTheCallers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		key := env.create(keys.Spec{}).Record
		m, _ := env.on(deaf{env.faults}, nil)
		_, err := m.Change(t.Context(), "acme", "", key.ID, keys.Change{Label: new("x")})
		if !errors.Is(err, keys.ErrUnavailable) || !errors.Is(err, errDown) || errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// first returns the first error of an iteration.
func first[T any](seq func(func(T, error) bool)) (err error) {
	seq(func(_ T, e error) bool {
		err = e
		return false
	})
	return err
}

// TestHungStores calls each method while a method of the store hangs until its
// context ends: each fails in time, and says that the store cannot answer.
func TestHungStores(t *testing.T) {
	t.Parallel()
	const once, twice = 2 * time.Second, 4 * time.Second // without cleaning up, and with
	const key, client = keys.KindKey, keys.KindClient
	all := keys.Rotation{Overlap: time.Hour}
	for _, tt := range []struct {
		name    string
		methods []storetest.Method
		most    time.Duration
		do      func(ctx context.Context, h *hung) error
	}{
		{"Get", []storetest.Method{storetest.Get}, once, func(ctx context.Context, h *hung) error {
			_, err := h.manager.Get(ctx, "acme", "", h.key.Record.ID)
			return err
		}},
		{"Find", []storetest.Method{storetest.Get}, once, func(ctx context.Context, h *hung) error {
			_, err := h.manager.Find(ctx, h.key.Record.ID)
			return err
		}},
		{"List", []storetest.Method{storetest.List}, once, func(ctx context.Context, h *hung) error {
			return first(h.manager.List(ctx, keys.Query{Org: "acme", Kind: key}))
		}},
		{"Orgs", []storetest.Method{storetest.Orgs}, once, func(ctx context.Context, h *hung) error {
			return first(h.counting.Orgs(ctx, ""))
		}},
		{"Count", []storetest.Method{storetest.Count}, once, func(ctx context.Context, h *hung) error {
			_, err := h.counting.Count(ctx, "acme", key, 10)
			return err
		}},
		{"Count by lists", []storetest.Method{storetest.List}, once, func(ctx context.Context, h *hung) error {
			_, err := h.plains.Count(ctx, "acme", key, 10)
			return err
		}},
		{"Sweep", []storetest.Method{storetest.Sweep}, once, func(ctx context.Context, h *hung) error {
			_, err := h.manager.Sweep(ctx, time.Now())
			return err
		}},
		{"Create", []storetest.Method{storetest.Insert}, once, func(ctx context.Context, h *hung) error {
			_, err := h.manager.Create(ctx, "acme", keys.Spec{})
			return err
		}},
		{"Import", []storetest.Method{storetest.Insert}, once, func(ctx context.Context, h *hung) error {
			_, err := h.manager.Import(ctx, "acme", h.key.Text, keys.Spec{})
			return err
		}},
		{"IssueToken", []storetest.Method{storetest.Insert}, once, func(ctx context.Context, h *hung) error {
			_, err := h.manager.IssueToken(ctx, h.client.Record, scopes.Set{}, time.Hour)
			return err
		}},
		{"Change", []storetest.Method{storetest.Get, storetest.Update}, once, func(ctx context.Context, h *hung) error {
			_, err := h.manager.Change(ctx, "acme", key, h.key.Record.ID, keys.Change{Label: new("x")})
			return err
		}},
		{"Revoke", []storetest.Method{storetest.Get, storetest.Update}, once, func(ctx context.Context, h *hung) error {
			return h.manager.Revoke(ctx, "acme", key, h.key.Record.ID)
		}},
		{"RevokeAll", []storetest.Method{storetest.List, storetest.Update}, once, func(ctx context.Context, h *hung) error {
			_, err := h.manager.RevokeAll(ctx, "acme")
			return err
		}},
		{"RevokeDescendants", []storetest.Method{storetest.Get, storetest.List, storetest.Update}, once, func(ctx context.Context, h *hung) error {
			_, err := h.manager.RevokeDescendants(ctx, "acme", key, h.key.Record.ID)
			return err
		}},
		{"Rotate", []storetest.Method{storetest.Get, storetest.Insert, storetest.Update}, twice, func(ctx context.Context, h *hung) error {
			_, err := h.manager.Rotate(ctx, "acme", h.key.Record.ID, all)
			return err
		}},
		{"RotateSecret", []storetest.Method{storetest.Get, storetest.Update}, twice, func(ctx context.Context, h *hung) error {
			_, err := h.manager.RotateSecret(ctx, "acme", h.client.Record.ID, time.Hour)
			return err
		}},
		{"Recheck", []storetest.Method{storetest.Get}, once, func(ctx context.Context, h *hung) error {
			_, err := h.manager.Recheck(ctx, keys.Principal{Org: "acme", Kind: key, ID: h.key.Record.ID})
			return err
		}},
		{"Verify", []storetest.Method{storetest.Get}, once, func(ctx context.Context, h *hung) error {
			_, err := h.verifier.Verify(ctx, h.key.Text.Reveal())
			return err
		}},
		{"Inspect", []storetest.Method{storetest.Get}, once, func(ctx context.Context, h *hung) error {
			_, err := h.verifier.Inspect(ctx, h.key.Text.Reveal(), time.Now())
			return err
		}},
		{"VerifyClient", []storetest.Method{storetest.Get}, once, func(ctx context.Context, h *hung) error {
			_, err := h.verifier.VerifyClient(ctx, h.client.Record.ID, h.client.Text.Reveal(), time.Now())
			return err
		}},
		{"Actor.Create", []storetest.Method{storetest.Get, storetest.Insert, storetest.List}, twice, func(ctx context.Context, h *hung) error {
			_, err := h.actor.Create(ctx, keys.Spec{})
			return err
		}},
		{"Actor.Change", []storetest.Method{storetest.Get, storetest.Update}, twice, func(ctx context.Context, h *hung) error {
			_, err := h.actor.Change(ctx, key, h.key.Record.ID, keys.Change{Label: new("x")})
			return err
		}},
		{"Actor.Rotate", []storetest.Method{storetest.Get, storetest.Insert, storetest.Update, storetest.List}, twice, func(ctx context.Context, h *hung) error {
			_, err := h.actor.Rotate(ctx, h.key.Record.ID, all)
			return err
		}},
		{"Actor.RotateSecret", []storetest.Method{storetest.Get, storetest.Update}, twice, func(ctx context.Context, h *hung) error {
			_, err := h.actor.RotateSecret(ctx, h.client.Record.ID, time.Hour)
			return err
		}},
		{"Actor.Revoke", []storetest.Method{storetest.Get, storetest.Update}, once, func(ctx context.Context, h *hung) error {
			return h.actor.Revoke(ctx, client, h.client.Record.ID)
		}},
		{"Actor.RevokeDescendants", []storetest.Method{storetest.Get, storetest.List, storetest.Update}, once, func(ctx context.Context, h *hung) error {
			_, err := h.actor.RevokeDescendants(ctx, key, h.key.Record.ID)
			return err
		}},
	} {
		for _, method := range tt.methods {
			t.Run(fmt.Sprintf("%s while %v hangs", tt.name, method), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					h := newHung(t, nil)
					h.faults.Block(method)
					start := time.Now()
					err := tt.do(t.Context(), h)
					if !errors.Is(err, keys.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || keys.Reason(err) != keys.ReasonUnavailable {
						t.Errorf("error %v", err)
					}
					if took := time.Since(start); took > tt.most {
						t.Errorf("it took %v", took)
					}
				})
			})
		}
	}
}

// TestTimeout gives the store less time than by default.
func TestTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		uses, err := keys.NewUses(&useStore{hang: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		h := newHung(t, &keys.Options{Timeout: time.Second / 4, Uses: uses})
		h.faults.Block(storetest.Get)
		start := time.Now()
		if _, err := h.manager.Get(t.Context(), "acme", "", h.key.Record.ID); !errors.Is(err, keys.ErrUnavailable) || time.Since(start) != time.Second/4 {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		start = time.Now()
		if _, err := h.manager.LastUses(t.Context(), "x"); !errors.Is(err, keys.ErrUnavailable) || time.Since(start) != time.Second/4 {
			t.Errorf("last uses after %v: %v", time.Since(start), err)
		}
		start = time.Now()
		uses.Note("x", start)
		if err := uses.Flush(t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 5*time.Second {
			t.Errorf("a write of uses after %v: %v", time.Since(start), err)
		}
	})
}

// TestWhoGaveUp tells a caller that has gone from a store that gives up.
func TestWhoGaveUp(t *testing.T) {
	t.Parallel()
	gone, leave := context.WithCancel(t.Context())
	leave()
	late, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	down := errors.New("down")
	for _, tt := range []struct {
		name   string
		ctx    context.Context
		err    error // of the store; nil for that of ctx
		reason string
		is     []error
	}{
		{"the caller has gone", gone, nil, keys.ReasonCanceled, []error{context.Canceled}},
		{"the caller has gone, and the store is down", gone, down, keys.ReasonCanceled, []error{context.Canceled, down}},
		{"the caller's time is over", late, nil, keys.ReasonUnavailable, []error{context.DeadlineExceeded}},
		{"the store is down, and the time is over", late, down, keys.ReasonUnavailable, []error{context.DeadlineExceeded, down}},
		{"the store cancels after the time is over", late, context.Canceled, keys.ReasonUnavailable, []error{context.DeadlineExceeded}},
		{"the store is down", t.Context(), down, keys.ReasonUnavailable, []error{down}},
		{"the store cancels", t.Context(), fmt.Errorf("pool: %w", context.Canceled), keys.ReasonUnavailable, nil},
		{"the store gives up", t.Context(), context.DeadlineExceeded, keys.ReasonUnavailable, []error{context.DeadlineExceeded}},
		{"the store answers nonsense", t.Context(), keys.ErrConflict, keys.ReasonUnavailable, []error{keys.ErrConflict}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := newEnv(t, nil)
			issued := env.create(keys.Spec{})
			if tt.err != nil {
				env.faults.Fail(storetest.Get, storetest.Always, tt.err)
			}
			_, err := env.verifier.Verify(tt.ctx, issued.Text.Reveal())
			if !errors.Is(err, keys.ErrUnavailable) || keys.Reason(err) != tt.reason {
				t.Errorf("%v, reason %q, want %q", err, keys.Reason(err), tt.reason)
			}
			for _, want := range tt.is {
				if !errors.Is(err, want) {
					t.Errorf("%v is no %v", err, want)
				}
			}
			_, recheck := env.manager.Recheck(tt.ctx, keys.Principal{Org: "acme", Kind: keys.KindKey, ID: issued.Record.ID})
			if !errors.Is(recheck, keys.ErrUnavailable) || keys.Reason(recheck) != tt.reason {
				t.Errorf("Recheck: %v, reason %q", recheck, keys.Reason(recheck))
			}
		})
	}
}
