//go:build !race

package keys_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
)

// The counts are only exact without the race detector. With it, fewer calls are inlined,
// and those that are not allocate. Pools also lose some of what they are given.
func TestAllocations(t *testing.T) { synctest.Test(t, testAllocations) }

func testAllocations(t *testing.T) {
	ctx, memory := context.Background(), new(store.Memory)
	cache, err := keys.NewCache(&quiet{Store: memory}, &keys.CacheOptions{Lease: keys.MaxLease})
	if err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	go cache.Run(running)
	synctest.Wait() // until it is in use
	pepper := []keys.Pepper{{Name: "p", Key: keys.NewSecret(strings.Repeat("p", 32))}}
	for name, v := range map[string]struct {
		store keys.Store
		opts  keys.Options
		most  float64
	}{
		"a local store":  {memory, keys.Options{Format: partner}, 0},
		"a cache":        {cache, keys.Options{Format: partner}, 0},
		"another store":  {struct{ keys.Store }{memory}, keys.Options{Format: partner}, 4}, // for the context with a timeout
		"with a pepper":  {memory, keys.Options{Format: partner, Peppers: pepper}, 0},
		"another format": {memory, keys.Options{}, 0},
		"with a plan":    {memory, keys.Options{Plan: func(context.Context, string) (int, error) { return 7, nil }}, 0},
	} {
		manager, err := keys.NewManager(v.store, &v.opts)
		if err != nil {
			t.Fatal(err)
		}
		create := func(kind keys.Kind) keys.Issued {
			issued, err := manager.Create(ctx, "acme", keys.Spec{Kind: kind})
			if err != nil {
				t.Fatal(err)
			}
			return issued
		}
		key, other, client := create(keys.KindKey), create(keys.KindKey), create(keys.KindClient)
		revoked, f := create(keys.KindKey), format(v.opts.Format)
		if err := manager.Revoke(ctx, "acme", "", revoked.Record.ID); err != nil {
			t.Fatal(err)
		}
		token, err := manager.IssueToken(ctx, client.Record, scopes.Set{}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		wrong := f.Text(withSecretOf(t, key.Record.ID, other.Text.Reveal())).Reveal()
		verifier := manager.Verifier()
		for text, want := range map[string]error{
			key.Text.Reveal(): nil, token.Text.Reveal(): nil, revoked.Text.Reveal(): keys.ErrRevoked,
			wrong: keys.ErrMismatch, wrong[1:]: keys.ErrMalformed, newText(t, f): keys.ErrUnknown,
		} {
			most := v.most
			if v.store == cache && want == keys.ErrUnknown {
				most = 10 // the cache does not keep that there is no record, and asks the store
			}
			if n := testing.AllocsPerRun(100, func() {
				if _, err := verifier.Verify(ctx, text); err != want {
					t.Fatal(err, want)
				}
			}); n > most {
				t.Errorf("%s: %v allocations, want %v, to find %v", name, n, most, want)
			}
		}
		secret, now := client.Text.Reveal(), time.Now()
		for secret, want := range map[string]error{secret: nil, strings.Repeat("0", len(secret)): keys.ErrMismatch} {
			if n := testing.AllocsPerRun(100, func() {
				if _, err := verifier.VerifyClient(ctx, client.Record.ID, secret, now); err != want {
					t.Fatal(err, want)
				}
			}); n > v.most {
				t.Errorf("%s: %v allocations, want %v, to find %v of a client", name, n, v.most, want)
			}
		}
	}
}

// format returns f, or the default one if that is nil.
func format(f *keys.Format) *keys.Format {
	if f == nil {
		return keys.MustFormat("key_", keys.Dotted, nil)
	}
	return f
}

// newText returns a credential that nobody has.
func newText(t *testing.T, f *keys.Format) string {
	t.Helper()
	tok, err := f.New("")
	if err != nil {
		t.Fatal(err)
	}
	return f.Text(tok).Reveal()
}

func TestNetworksDoNotAllocate(t *testing.T) {
	n, addr := mustNetworks(t, "10.0.0.0/8 192.0.2.1 2001:db8::/32"), netip.MustParseAddr("2001:db8::1")
	if allocs := testing.AllocsPerRun(100, func() { n.Allows(addr) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
