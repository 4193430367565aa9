package guardtest

import (
	"context"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

// A Host has the parts of this library that a service needs. It is safe for concurrent
// use.
type Host struct {
	Faults  *storetest.Faults // the store of records and limits, in memory
	Manager *keys.Manager
	Limiter *ratelimit.Limiter
	Guard   *middleware.Guard

	t testing.TB
}

// New returns a Host with the given options, each of which may be nil. Keys can have
// the scopes of the catalog in k, and no others. It ends the test if an option is
// wrong.
//
// The clock is that of the machine. In a bubble of package testing/synctest it is
// that of the bubble, so that a test can wait for a quota to come back.
func New(t testing.TB, k *keys.Options, g *middleware.Options) *Host {
	t.Helper()
	return newHost(t, new(store.Memory), k, g)
}

func newHost(t testing.TB, db store.Store, k *keys.Options, g *middleware.Options) *Host {
	t.Helper()
	h := &Host{Faults: storetest.NewFaults(db), t: t}
	var err error
	if h.Manager, err = keys.NewManager(h.Faults, k); err != nil {
		t.Fatal(err)
	}
	if h.Limiter, err = ratelimit.NewLimiter(h.Faults, nil); err != nil {
		t.Fatal(err)
	}
	if h.Guard, err = middleware.NewGuard(h.Manager.Verifier(), h.Limiter, g); err != nil {
		t.Fatal(err)
	}
	return h
}

// Key makes a key for an organization with some scopes, and returns its text, which
// stands after "Bearer " in an Authorization header.
func (h *Host) Key(org string, scopes ...string) string {
	h.t.Helper()
	return h.Issue(org, keys.Spec{Scopes: scopes}).Text.Reveal()
}

// Issue makes a key or a client as spec says.
func (h *Host) Issue(org string, spec keys.Spec) keys.Issued {
	h.t.Helper()
	issued, err := h.Manager.Create(context.Background(), org, spec)
	if err != nil {
		h.t.Fatal(err)
	}
	return issued
}

// Revoke revokes what Issue made.
func (h *Host) Revoke(i keys.Issued) {
	h.t.Helper()
	if err := h.Manager.Revoke(context.Background(), i.Record.Org, i.Record.Kind, i.Record.ID); err != nil {
		h.t.Fatal(err)
	}
}
