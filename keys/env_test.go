package keys_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"hash/crc32"
	"sync"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
	"github.com/google/go-cmp/cmp"
)

var catalog = scopes.MustCatalog(
	scopes.Scope{Name: "identity:read", Status: scopes.Always},
	scopes.Scope{Name: "keys:manage"},
	scopes.Scope{Name: "webhooks:manage"},
	scopes.Scope{Name: "leads:read", Status: scopes.Reserved},
)

// env is a manager and a verifier over one store, whose faults a test can
// choose, with a log of their events.
type env struct {
	t        *testing.T
	store    *store.Memory
	faults   *storetest.Faults
	manager  *keys.Manager
	verifier *keys.Verifier
	host     *keys.Manager // over the store itself

	// during and after, if not nil, are called once, when the manager writes
	// next: before the write, and when it is done.
	during, after func(write string)

	mu     sync.Mutex
	events []keys.Event
}

// newEnv returns an env with the given options. Those that are zero get the
// tests' own values.
func newEnv(t *testing.T, opts *keys.Options) *env {
	t.Helper()
	e := &env{t: t, store: new(store.Memory)}
	e.faults = storetest.NewFaults(e.store)
	o := keys.Options{Format: partner, Catalog: catalog}
	if opts != nil {
		format := o.Format
		if opts.Format != nil {
			format = opts.Format
		}
		o = *opts
		o.Format, o.Catalog = format, catalog
	}
	o.Hook = func(_ context.Context, event keys.Event) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.events = append(e.events, event)
	}
	e.manager, e.verifier = e.over(&o)
	var err error
	if e.host, err = keys.NewManager(e.store, &keys.Options{Format: o.Format, Catalog: catalog}); err != nil {
		t.Fatal(err)
	}
	return e
}

// A watched is a store with which a test can act during and after a write.
type watched struct {
	keys.Store
	env *env
}

func (w watched) Insert(ctx context.Context, r keys.Record) error {
	return w.write("insert", func() error { return w.Store.Insert(ctx, r) })
}

func (w watched) Update(ctx context.Context, r keys.Record) error {
	return w.write("update", func() error { return w.Store.Update(ctx, r) })
}

func (w watched) write(name string, do func() error) error {
	if during := w.env.during; during != nil {
		w.env.during = nil
		during(name)
	}
	err := do()
	if after := w.env.after; after != nil {
		w.env.after = nil
		after(name)
	}
	return err
}

// records returns all keys and clients of acme.
func (e *env) records() map[string]keys.Record {
	e.t.Helper()
	found := make(map[string]keys.Record)
	for _, kind := range []keys.Kind{keys.KindKey, keys.KindClient} {
		for rec, err := range e.host.List(e.t.Context(), keys.Query{Org: "acme", Kind: kind}) {
			if err != nil {
				e.t.Fatal(err)
			}
			found[rec.ID] = rec
		}
	}
	return found
}

// unchanged checks that all records are as they were, except for their versions, and
// that new records are revoked. It does not look at the record of the given caller.
func (e *env) unchanged(before map[string]keys.Record, caller string) {
	e.t.Helper()
	for id, rec := range e.records() {
		old, was := before[id]
		rec.Version = old.Version
		if diff := cmp.Diff(old, rec, cmpRecords); was && id != caller && diff != "" {
			e.t.Errorf("%s is another than before:\n%s", id, diff)
		}
		if !was && !rec.Revoked() {
			e.t.Errorf("%s is there, and alive", id)
		}
	}
}

// over returns a manager and a verifier with other options over the same
// store.
func (e *env) over(o *keys.Options) (*keys.Manager, *keys.Verifier) {
	e.t.Helper()
	return e.on(watched{e.faults, e}, o)
}

// on returns a manager and a verifier over any store, for the keys of e.
func (e *env) on(s keys.Store, o *keys.Options) (*keys.Manager, *keys.Verifier) {
	e.t.Helper()
	if o == nil {
		o = new(keys.Options)
	}
	if o.Format == nil {
		o.Format = partner
	}
	m, err := keys.NewManager(s, o)
	if err != nil {
		e.t.Fatal(err)
	}
	return m, m.Verifier()
}

// create makes a key for the organization acme.
func (e *env) create(spec keys.Spec) keys.Issued {
	e.t.Helper()
	issued, err := e.manager.Create(e.t.Context(), "acme", spec)
	if err != nil {
		e.t.Fatal(err)
	}
	return issued
}

// verify checks a key at the present time.
func (e *env) verify(text string) (keys.Principal, error) {
	return e.verifier.Verify(e.t.Context(), text)
}

// insert puts a record into the store, past the manager.
func (e *env) insert(rec keys.Record) {
	e.t.Helper()
	if err := e.store.Insert(e.t.Context(), rec); err != nil {
		e.t.Fatal(err)
	}
}

// last returns the newest event.
func (e *env) last() keys.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.events) == 0 {
		return keys.Event{}
	}
	return e.events[len(e.events)-1]
}

// types returns the types of all events since the last call.
func (e *env) types() []keys.EventType {
	e.mu.Lock()
	defer e.mu.Unlock()
	var types []keys.EventType
	for _, event := range e.events {
		types = append(types, event.Type)
	}
	e.events = nil
	return types
}

// now is the present in the precision of records.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// digestOf returns the plain digest of a secret, after its documentation.
func digestOf(t testing.TB, kind keys.Kind, secret keys.Secret) keys.Digest {
	t.Helper()
	sum := sha256.Sum256([]byte(string(kind) + "\x00" + secret.Reveal()))
	return mustDigest(t, "$sha256$v=1$"+base64.RawStdEncoding.EncodeToString(sum[:]))
}

// checksumOf returns the checksum of a key, after its documentation.
func checksumOf(text string) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	sum := ""
	for n, i := crc32.ChecksumIEEE([]byte(text)), 0; i < 6; n, i = n/62, i+1 {
		sum = string(digits[n%62]) + sum
	}
	return sum
}

// cmpRecords lets cmp look at records: sets and digests compare with ==.
var cmpRecords = cmp.Options{
	cmp.Comparer(func(a, b keys.Digest) bool { return a == b }),
	cmp.Comparer(func(a, b scopes.Set) bool { return a == b }),
	cmp.Comparer(func(a, b keys.Networks) bool { return a == b }),
}
