package keys_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store/storetest"
	"github.com/google/go-cmp/cmp"
)

// createClient makes a client for the organization acme.
func createClient(t *testing.T, env *env, spec keys.Spec) keys.Issued {
	t.Helper()
	spec.Kind = keys.KindClient
	return env.create(spec)
}

func TestCreateClient(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	issued := createClient(t, env, keys.Spec{Label: "CI", TokenLifetime: time.Hour, RateLimit: 60})
	if rec := issued.Record; rec.Kind != keys.KindClient || rec.TokenLifetime != time.Hour || rec.ID[:3] != "cc_" || len(issued.Text.Reveal()) != 64 {
		t.Errorf("%+v", rec)
	}
	rec, err := env.verifier.VerifyClient(t.Context(), issued.Record.ID, issued.Text.Reveal(), now())
	if diff := cmp.Diff(issued.Record, rec, cmpRecords); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	for name, spec := range map[string]keys.Spec{
		"a token": {Kind: keys.KindToken}, "an unknown kind": {Kind: "x"}, "a key with a token lifetime": {TokenLifetime: time.Hour},
		"a negative token lifetime": {Kind: keys.KindClient, TokenLifetime: -time.Hour},
	} {
		if _, err := env.manager.Create(t.Context(), "acme", spec); !errors.Is(err, keys.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := env.manager.ImportDigest(t.Context(), "acme", "vck_live_0000000000000000000000", mustDigest(t, sha256Text), keys.Spec{Kind: keys.KindClient}); !errors.Is(err, keys.ErrMalformed) {
		t.Errorf("a client with the ID of a key: %v", err)
	}
}

func TestIssueToken(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name             string
		client, lifetime time.Duration // 0: the client never ends
		ends             time.Duration
	}{
		{"a client forever", 0, time.Hour, time.Hour},
		{"a client that ends later", 2 * time.Hour, time.Hour, time.Hour},
		{"a client that ends sooner", time.Minute, time.Hour, time.Minute},
		{"the shortest", 0, time.Millisecond, time.Millisecond},
		{"a fraction", 0, 1500 * time.Microsecond, time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				env := newEnv(t, nil)
				c := createClient(t, env, keys.Spec{Scopes: []string{"webhooks:manage"}, RateLimit: 60, Lifetime: tt.client, CreatedBy: "cli:anna"}).Record
				granted := scopes.MustParse("webhooks:manage")
				issued, err := env.manager.IssueToken(t.Context(), c, granted, tt.lifetime)
				if err != nil {
					t.Fatal(err)
				}
				want := keys.Record{
					ID: issued.Record.ID, Kind: keys.KindToken, Org: "acme", Parent: c.ID, RateLimit: 60,
					Scopes: scopes.MustParse("identity:read webhooks:manage"), // what every credential has, too
					Digest: issued.Record.Digest, CreatedAt: now(), ExpiresAt: now().Add(tt.ends), Version: 1,
				}
				if diff := cmp.Diff(want, issued.Record, cmpRecords); diff != "" {
					t.Error(diff)
				}
				if p, err := env.verify(issued.Text.Reveal()); err != nil || p.ID != want.ID || p.Client != c.ID || p.Scopes != want.Scopes || p.CreatedBy != c.CreatedBy {
					t.Errorf("%+v, %v", p, err)
				}
				time.Sleep(tt.ends) // on the test's own clock
				if _, err := env.verify(issued.Text.Reveal()); !errors.Is(err, keys.ErrExpired) && !errors.Is(err, keys.ErrRevoked) {
					t.Errorf("at its end: %v", err)
				}
			})
		})
	}
}

// TestIssueTokenAt makes a token at another time than now: its lifetime counts from there.
func TestIssueTokenAt(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	c := createClient(t, env, keys.Spec{}).Record
	at := now().Add(-10 * time.Minute)
	issued, err := env.manager.IssueTokenAt(t.Context(), &c, c.Scopes, time.Hour, at)
	if rec := issued.Record; err != nil || !rec.CreatedAt.Equal(at) || !rec.ExpiresAt.Equal(at.Add(time.Hour)) {
		t.Errorf("made at %v, good until %v, %v", rec.CreatedAt, rec.ExpiresAt, err)
	}
}

func TestIssueTokenRefuses(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	good := createClient(t, env, keys.Spec{}).Record
	over, revoked, paused, key := good, good, good, good
	over.ExpiresAt = now()
	revoked.RevokedAt = now()
	paused.DisabledAt = now()
	key.Kind = keys.KindKey
	inserts := env.faults.Calls(storetest.Insert)
	for name, tt := range map[string]struct {
		client   keys.Record
		lifetime time.Duration
		want     error
	}{
		"a key":                {key, time.Hour, keys.ErrInvalid},
		"a revoked client":     {revoked, time.Hour, keys.ErrRevoked},
		"an expired client":    {over, time.Hour, keys.ErrExpired},
		"a paused client":      {paused, time.Hour, keys.ErrPaused},
		"no time":              {good, 0, keys.ErrInvalid},
		"time that went by":    {good, -time.Hour, keys.ErrInvalid},
		"under a millisecond":  {good, time.Millisecond - 1, keys.ErrInvalid},
		"no client whatsoever": {keys.Record{}, time.Hour, keys.ErrInvalid},
	} {
		issued, err := env.manager.IssueToken(t.Context(), tt.client, scopes.Set{}, tt.lifetime)
		if !errors.Is(err, tt.want) || issued.Text.Len() != 0 {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	if n := env.faults.Calls(storetest.Insert); n != inserts {
		t.Error("a token that was refused reached the store")
	}
}
