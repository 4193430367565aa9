package keys_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store/storetest"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	issued := env.create(keys.Spec{Scopes: []string{"webhooks:manage"}, Environment: "test", RateLimit: 60, Lifetime: time.Hour})
	got, err := env.verify(issued.Text.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	want := keys.Principal{
		Org: "acme", ID: issued.Record.ID, Kind: keys.KindKey, Environment: "test",
		Scopes: scopes.MustParse("identity:read webhooks:manage"), RateLimit: 60, ExpiresAt: issued.Record.ExpiresAt,
	}
	if got != want {
		t.Errorf("principal %+v, want %+v", got, want)
	}
}

// TestVerifyMutants tries every way to damage a good key.
func TestVerifyMutants(t *testing.T) {
	t.Parallel()
	env := newEnv(t, &keys.Options{Format: foreign})
	text := env.create(keys.Spec{}).Text.Reveal()
	for name, mutant := range mutants(text) {
		if p, err := env.verify(mutant); err == nil || p != (keys.Principal{}) {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	a, b := env.create(keys.Spec{}), env.create(keys.Spec{})
	tok, err := partner.New("")
	if err != nil {
		t.Fatal(err)
	}
	mixed := partner.Text(withSecretOf(t, a.Record.ID, b.Text.Reveal()))
	foreignToken, err := token.New("")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, text string
		want       error
		reason     string
	}{
		{"empty", "", keys.ErrMalformed, keys.ReasonMalformed},
		{"junk", "junk", keys.ErrMalformed, keys.ReasonMalformed},
		{"the ID alone", a.Record.ID, keys.ErrMalformed, keys.ReasonMalformed},
		{"unknown key", partner.Text(tok).Reveal(), keys.ErrUnknown, keys.ReasonUnknown},
		{"unknown token", token.Text(foreignToken).Reveal(), keys.ErrUnknown, keys.ReasonUnknown},
		{"the ID of one with the secret of another", mixed.Reveal(), keys.ErrMismatch, keys.ReasonMismatch},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := env.verify(tt.text)
			if err != tt.want || p != (keys.Principal{}) {
				t.Errorf("%v, %v; want %v", p, err, tt.want)
			}
			if reason := keys.Reason(err); reason != tt.reason {
				t.Errorf("the reason is %q, want %q", reason, tt.reason)
			}
		})
	}
}

// withSecretOf returns a credential with the ID of one key and the random part of
// another's secret, with the checksum of the two.
func withSecretOf(t *testing.T, id, text string) keys.Credential {
	t.Helper()
	_, secret, _ := strings.Cut(text, ".")
	random := secret[:len(secret)-6]
	return keys.Credential{ID: id, Secret: keys.NewSecret(random + checksumOf(id+"."+random))}
}

func TestVerifyAtTheEnd(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	issued := env.create(keys.Spec{Lifetime: time.Minute})
	end := issued.Record.ExpiresAt
	text := issued.Text.Reveal()
	if _, err := env.verifier.VerifyAt(t.Context(), text, end.Add(-1)); err != nil {
		t.Errorf("a nanosecond before the end: %v", err)
	}
	if _, err := env.verifier.VerifyAt(t.Context(), text, end); err != keys.ErrExpired {
		t.Errorf("at the end: %v", err)
	}
	wrong := partner.Text(withSecretOf(t, issued.Record.ID, env.create(keys.Spec{}).Text.Reveal()))
	if _, err := env.verifier.VerifyAt(t.Context(), wrong.Reveal(), end); err != keys.ErrMismatch {
		t.Errorf("a wrong secret learns of the end: %v", err)
	}
	if err := env.manager.Revoke(t.Context(), "acme", "", issued.Record.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := env.verify(text); err != keys.ErrRevoked {
		t.Errorf("revoked: %v", err)
	}
	if _, err := env.verify(wrong.Reveal()); err != keys.ErrMismatch {
		t.Errorf("a wrong secret learns of the revocation: %v", err)
	}
}

// TestVerifyReads counts the reads of the store that each kind of text costs.
func TestVerifyReads(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	issued := env.create(keys.Spec{})
	tok, err := partner.New("")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, text string
		reads      int
	}{
		{"good", issued.Text.Reveal(), 1},
		{"junk", "vck_live_junk", 0},
		{"wrong checksum", issued.Text.Reveal() + "0", 0},
		{"unknown", partner.Text(tok).Reveal(), 1},
	} {
		before := env.faults.Calls(storetest.Get)
		_, _ = env.verify(tt.text)
		if got := env.faults.Calls(storetest.Get) - before; got != tt.reads {
			t.Errorf("%s: %d reads, want %d", tt.name, got, tt.reads)
		}
	}
}

// TestVerifyHashes counts the hashes that each kind of text costs. That of an
// unknown credential is what hides that it is unknown.
func TestVerifyHashes(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	manager, verifier := env.over(&keys.Options{Format: partner, Peppers: []keys.Pepper{{Name: "p", Key: keys.NewSecret(strings.Repeat("p", 32))}}})
	var hashes atomic.Int64
	verifier.CountHashes(&hashes)
	var texts [2]string
	for i := range texts {
		issued, err := manager.Create(t.Context(), "acme", keys.Spec{})
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = issued.Text.Reveal()
	}
	id, _, _ := strings.Cut(texts[0], ".")
	tok, err := partner.New("")
	if err != nil {
		t.Fatal(err)
	}
	hashes.Store(0)
	for _, tt := range []struct {
		name, text string
		err        error
		want       int64
	}{
		{"good", texts[0], nil, 1},
		{"wrong", partner.Text(withSecretOf(t, id, texts[1])).Reveal(), keys.ErrMismatch, 1},
		{"unknown", partner.Text(tok).Reveal(), keys.ErrUnknown, 1},
		{"junk", "vck_live_junk", keys.ErrMalformed, 0},
	} {
		if _, err := verifier.Verify(t.Context(), tt.text); err != tt.err {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.err)
		}
		if n := hashes.Swap(0); n != tt.want {
			t.Errorf("%s: %d hashes, want %d", tt.name, n, tt.want)
		}
	}
}

// TestStoreFailures gives the verifier every kind of bad answer. None may let
// anybody in, or say that the credential is bad.
func TestStoreFailures(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	issued := env.create(keys.Spec{})
	good := issued.Record
	corrupt := func(change func(*keys.Record)) { env.faults.Corrupt(storetest.Get, storetest.Always, change) }
	cause := errors.New("connection refused")
	for name, fault := range map[string]func(){
		"an error":            func() { env.faults.Fail(storetest.Get, storetest.Always, cause) },
		"a context's error":   func() { env.faults.Fail(storetest.Get, storetest.Always, context.DeadlineExceeded) },
		"another record":      func() { corrupt(func(r *keys.Record) { r.ID += "x" }) },
		"another kind":        func() { corrupt(func(r *keys.Record) { r.Kind = keys.KindClient }) },
		"no kind":             func() { corrupt(func(r *keys.Record) { r.Kind = "" }) },
		"no organization":     func() { corrupt(func(r *keys.Record) { r.Org = "" }) },
		"no digest":           func() { corrupt(func(r *keys.Record) { r.Digest = keys.Digest{} }) },
		"a negative limit":    func() { corrupt(func(r *keys.Record) { r.RateLimit = -1 }) },
		"the zero record":     func() { corrupt(func(r *keys.Record) { *r = keys.Record{} }) },
		"an unknown pepper":   func() { corrupt(func(r *keys.Record) { r.Digest = mustDigest(t, hmacText) }) },
		"a key with a parent": func() { corrupt(func(r *keys.Record) { r.Parent = r.ID }) },
		"an empty previous": func() {
			corrupt(func(r *keys.Record) { r.Digest = mustDigest(t, sha256Text); r.PreviousExpiresAt = now().Add(time.Hour) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer env.faults.Heal()
			fault()
			p, err := env.verify(issued.Text.Reveal())
			if !errors.Is(err, keys.ErrUnavailable) || p != (keys.Principal{}) {
				t.Fatalf("%v, %v; want ErrUnavailable", p, err)
			}
			for _, verdict := range []error{keys.ErrUnknown, keys.ErrMismatch, keys.ErrMalformed, keys.ErrExpired, keys.ErrRevoked} {
				if errors.Is(err, verdict) {
					t.Errorf("the failure passes for %v", verdict)
				}
			}
			if reason := keys.Reason(err); reason != keys.ReasonUnavailable || strings.Count(err.Error(), "keys: store is unavailable") != 1 {
				t.Errorf("the reason is %q, and the error %v", reason, err)
			}
			if _, secret, _ := strings.Cut(issued.Text.Reveal(), "."); strings.Contains(fmt.Sprint(err), secret) {
				t.Error("the error holds the secret")
			}
		})
	}
	if p, err := env.verify(issued.Text.Reveal()); err != nil || p.ID != good.ID {
		t.Errorf("after the faults: %v", err)
	}
}

func mustDigest(t testing.TB, text string) keys.Digest {
	t.Helper()
	d, err := keys.ParseDigest(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTwoSecretsDuringARotation(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	c, err := client.New("")
	if err != nil {
		t.Fatal(err)
	}
	before, err := client.New("")
	if err != nil {
		t.Fatal(err)
	}
	end := now().Add(time.Minute)
	env.insert(keys.Record{
		ID: c.ID, Kind: keys.KindClient, Org: "acme", RateLimit: 1, CreatedAt: now(), Version: 1,
		Digest:   digestOf(t, keys.KindClient, c.Secret),
		Previous: digestOf(t, keys.KindClient, before.Secret), PreviousExpiresAt: end,
	})
	for name, tt := range map[string]struct {
		secret keys.Secret
		at     time.Time
		want   error
	}{
		"the new one":                   {c.Secret, end.Add(-1), nil},
		"the old one":                   {before.Secret, end.Add(-1), nil},
		"the new one after the overlap": {c.Secret, end, nil},
		"the old one after the overlap": {before.Secret, end, keys.ErrMismatch},
		"the old one long after it":     {before.Secret, end.Add(time.Hour), keys.ErrMismatch},
	} {
		if _, err := env.verifier.VerifyClient(t.Context(), c.ID, tt.secret.Reveal(), tt.at); err != tt.want {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}
