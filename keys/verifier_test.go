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
	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"
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

// withSecretOf returns a token with the ID of one key and the random part of
// another's secret, under the checksum that fits.
func withSecretOf(t *testing.T, id, text string) keys.Credential {
	t.Helper()
	_, secret, _ := strings.Cut(text, ".")
	random := secret[:len(secret)-6]
	// The checksum is found by the parser itself: only one of the texts fits.
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
			if reason := keys.Reason(err); reason != keys.ReasonUnavailable {
				t.Errorf("the reason is %q", reason)
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

// pair makes a client and one of its tokens straight in the store.
func pair(t *testing.T, env *env) (clientRec, tokenRec keys.Record, clientSecret, text string) {
	t.Helper()
	c, err := client.New("")
	if err != nil {
		t.Fatal(err)
	}
	tok, err := token.New("")
	if err != nil {
		t.Fatal(err)
	}
	clientRec = keys.Record{
		ID: c.ID, Kind: keys.KindClient, Org: "acme", Scopes: scopes.MustParse("identity:read webhooks:manage"), RateLimit: 100,
		Digest: digestOf(t, keys.KindClient, c.Secret), CreatedAt: now(), Version: 1,
	}
	tokenRec = keys.Record{
		ID: tok.ID, Kind: keys.KindToken, Org: "acme", Parent: c.ID, Scopes: clientRec.Scopes, RateLimit: 100,
		Digest: digestOf(t, keys.KindToken, tok.Secret), CreatedAt: now(), ExpiresAt: now().Add(time.Hour), Version: 1,
	}
	env.insert(clientRec)
	env.insert(tokenRec)
	return clientRec, tokenRec, c.Secret.Reveal(), token.Text(tok).Reveal()
}

// TestTokensNeedTheirOwnClient changes what a store answers about a token's
// client, and counts the reads.
func TestTokensNeedTheirOwnClient(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	clientRec, tokenRec, secret, text := pair(t, env)
	reads := env.faults.Calls(storetest.Get)
	for range 3 {
		if p, err := env.verify(text); err != nil || p.Client != clientRec.ID || p.Scopes != tokenRec.Scopes {
			t.Fatalf("%+v, %v", p, err)
		}
	}
	if _, err := env.verifier.VerifyClient(t.Context(), clientRec.ID, secret, now()); err != nil {
		t.Fatal(err)
	}
	if n := env.faults.Calls(storetest.Get) - reads; n != 4 {
		t.Errorf("%d reads for four checks", n)
	}
	client := func(change func(*keys.Record)) func(*keys.Record) {
		return func(r *keys.Record) {
			if r.Kind == keys.KindClient {
				change(r)
			}
		}
	}
	for name, tt := range map[string]struct {
		change func(rec *keys.Record)
		want   error
	}{
		"a parent of another organization": {client(func(r *keys.Record) { r.Org = "globex" }), keys.ErrUnavailable},
		"another client":                   {client(func(r *keys.Record) { r.ID = "cc_0000000000000000" }), keys.ErrUnavailable},
		"a revoked client":                 {client(func(r *keys.Record) { r.RevokedAt = now() }), keys.ErrRevoked},
		"an expired client":                {client(func(r *keys.Record) { r.ExpiresAt = now().Add(-1) }), keys.ErrRevoked},
		"a paused client":                  {client(func(r *keys.Record) { r.DisabledAt = now() }), keys.ErrPaused},
	} {
		env.faults.Corrupt(storetest.Get, storetest.Always, tt.change)
		if _, err := env.verify(text); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
		env.faults.Heal()
	}
	orphan := tokenRec
	orphan.ID, orphan.Parent = "oauth_"+strings.Repeat("0", 24), "cc_0000000000000000"
	env.insert(orphan)
	if _, err := env.verify(orphan.ID + text[30:]); err != keys.ErrRevoked {
		t.Errorf("a token whose client is not there: %v", err)
	}
}

func TestTokensFollowTheirClient(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	clientRec, tokenRec, _, text := pair(t, env)
	p, err := env.verify(text)
	want := keys.Principal{
		Org: "acme", ID: tokenRec.ID, Kind: keys.KindToken, Client: clientRec.ID,
		Scopes: tokenRec.Scopes, RateLimit: 100, ExpiresAt: tokenRec.ExpiresAt,
	}
	if err != nil || p != want {
		t.Fatalf("principal %+v, %v; want %+v", p, err, want)
	}
	ten := 10
	if _, err := env.manager.Change(t.Context(), "acme", "", clientRec.ID, keys.Change{Scopes: new([]string{}), RateLimit: &ten}); err != nil {
		t.Fatal(err)
	}
	if p, err := env.verify(text); err != nil || p.Scopes.String() != "identity:read" || p.RateLimit != 10 {
		t.Errorf("after the client was narrowed: %+v, %v", p, err)
	}
	wide := []string{"webhooks:manage", "keys:manage"}
	if _, err := env.manager.Change(t.Context(), "acme", "", clientRec.ID, keys.Change{Scopes: &wide}); err != nil {
		t.Fatal(err)
	}
	if p, err := env.verify(text); err != nil || p.Scopes != tokenRec.Scopes {
		t.Errorf("after the client was widened: %q, %v", p.Scopes, err)
	}
	if err := env.manager.Revoke(t.Context(), "acme", "", clientRec.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := env.verify(text); err != keys.ErrRevoked {
		t.Errorf("after the client was revoked: %v", err)
	}
}

func TestTokensNeedTheirClient(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*keys.Record)
		want   error
	}{
		"an expired client":             {func(r *keys.Record) { r.ExpiresAt = r.CreatedAt }, keys.ErrRevoked},
		"a client of somebody else":     {func(r *keys.Record) { r.Org = "globex" }, keys.ErrUnavailable},
		"a parent that is no client":    {func(r *keys.Record) { r.Kind = keys.KindKey }, keys.ErrUnavailable},
		"a client that is not there":    {func(r *keys.Record) { r.ID = "cc_0000000000000000" }, keys.ErrRevoked},
		"a client without a rate limit": {func(r *keys.Record) { r.RateLimit = 1 }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := newEnv(t, nil)
			clientRec, tokenRec, _, text := pair(t, env)
			// A second environment gets the changed client with the same token.
			other := newEnv(t, nil)
			tt.change(&clientRec)
			other.insert(clientRec)
			other.insert(tokenRec)
			if _, err := other.verify(text); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

func TestKindsDoNotMix(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	clientRec, _, secret, _ := pair(t, env)
	if _, err := env.verify(clientRec.ID + secret); err != keys.ErrMalformed {
		t.Errorf("a client's credentials as a token: %v", err)
	}
	p, err := env.verifier.VerifyClient(t.Context(), clientRec.ID, secret, now())
	if diff := cmp.Diff(clientRec, p, cmpRecords); err != nil || diff != "" {
		t.Errorf("a client: %v\n%s", err, diff)
	}
	// The same secret under another kind has another digest.
	rec := clientRec
	rec.ID = "cc_00000000000000aa"
	rec.Digest = digestOf(t, keys.KindToken, keys.NewSecret(secret))
	env.insert(rec)
	if _, err := env.verifier.VerifyClient(t.Context(), rec.ID, secret, now()); err != keys.ErrMismatch {
		t.Errorf("a token's digest as a client's: %v", err)
	}
	for _, pair := range [][2]string{{"", ""}, {clientRec.ID, ""}, {"", secret}, {secret, clientRec.ID}} {
		if _, err := env.verifier.VerifyClient(t.Context(), pair[0], pair[1], now()); err != keys.ErrMalformed {
			t.Errorf("%q: %v", pair, err)
		}
	}
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

func TestPeppers(t *testing.T) {
	t.Parallel()
	first := keys.Pepper{Name: "first", Key: keys.NewSecret(strings.Repeat("1", 32))}
	second := keys.Pepper{Name: "second", Key: keys.NewSecret(strings.Repeat("2", 32))}
	env := newEnv(t, nil)
	plainKey := env.create(keys.Spec{})
	if got := plainKey.Record.Digest.String(); got != "sha256" {
		t.Fatalf("digest by %s", got)
	}

	// With a pepper, old keys go on, and are moved under it on first use.
	manager, verifier := env.over(&keys.Options{Format: partner, Catalog: catalog, Peppers: []keys.Pepper{first}})
	pepperedKey, err := manager.Create(t.Context(), "acme", keys.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	for _, issued := range []keys.Issued{plainKey, pepperedKey} {
		if _, err := verifier.Verify(t.Context(), issued.Text.Reveal()); err != nil {
			t.Error(err)
		}
		rec, _, err := env.store.Get(t.Context(), issued.Record.ID)
		if err != nil || !strings.HasPrefix(rec.Digest.Text(), "$hmac-sha256$v=1,k=first$") {
			t.Errorf("digest %q, %v", rec.Digest.Text(), err)
		}
	}
	if plainKey.Record.Digest == pepperedKey.Record.Digest {
		t.Error("two keys have one digest")
	}

	// Rotation: the second makes new digests, the first still checks old ones.
	_, verifier = env.over(&keys.Options{Format: partner, Peppers: []keys.Pepper{second, first}})
	if _, err := verifier.Verify(t.Context(), pepperedKey.Text.Reveal()); err != nil {
		t.Error(err)
	}
	rec, _, err := env.store.Get(t.Context(), pepperedKey.Record.ID)
	if err != nil || !strings.HasPrefix(rec.Digest.Text(), "$hmac-sha256$v=1,k=second$") {
		t.Errorf("digest %q, %v", rec.Digest.Text(), err)
	}

	// Without the pepper, or with another key under its name, nobody gets in.
	_, verifier = env.over(&keys.Options{Format: partner, Peppers: []keys.Pepper{first}})
	if _, err := verifier.Verify(t.Context(), pepperedKey.Text.Reveal()); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("without the pepper: %v", err)
	}
	_, verifier = env.over(&keys.Options{Format: partner, Peppers: []keys.Pepper{{Name: "second", Key: first.Key}}})
	if _, err := verifier.Verify(t.Context(), pepperedKey.Text.Reveal()); err != keys.ErrMismatch {
		t.Errorf("with another pepper: %v", err)
	}
}

func TestPeppersAreChecked(t *testing.T) {
	t.Parallel()
	key := keys.NewSecret(strings.Repeat("k", 32))
	for name, peppers := range map[string][]keys.Pepper{
		"short": {{Name: "a", Key: keys.NewSecret("short")}}, "no name": {{Key: key}},
		"a bad name": {{Name: "a b", Key: key}}, "twice": {{Name: "a", Key: key}, {Name: "a", Key: key}},
	} {
		if _, err := keys.NewVerifier(newEnv(t, nil).store, &keys.Options{Peppers: peppers}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for n, ok := range map[int]bool{1: true, 32: true, 33: false} {
		name := strings.Repeat("n", n)
		if _, err := keys.NewVerifier(newEnv(t, nil).store, &keys.Options{Peppers: []keys.Pepper{{Name: name, Key: key}}}); (err == nil) != ok {
			t.Errorf("a name of %d characters: %v", n, err)
		}
	}
}

func TestImportedDigests(t *testing.T) {
	t.Parallel()
	const long = "0123456789abcdef0123456789abcdef" // 32 characters
	const short = "your_secret_half_here"
	hash := func(secret string) keys.Digest {
		text, err := bcrypt.GenerateFromPassword([]byte(secret), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		return mustDigest(t, string(text))
	}
	for name, tt := range map[string]struct {
		secret  string
		digest  keys.Digest
		upgrade bool
	}{
		"bcrypt, long":    {long, hash(long), true},
		"bcrypt, short":   {short, hash(short), false},
		"bcrypt, full":    {strings.Repeat("x", 72), hash(strings.Repeat("x", 72)), true},
		"argon2id, known": {"password1234567890", mustDigest(t, argonKnown), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := newEnv(t, &keys.Options{Format: foreign})
			rec, err := env.manager.ImportDigest(t.Context(), "acme", "vck_test_REPLACE_ME", tt.digest, keys.Spec{})
			if err != nil {
				t.Fatal(err)
			}
			for _, wrong := range []string{tt.secret + "x", tt.secret[1:], strings.ToUpper(tt.secret), "x"} {
				if wrong == tt.secret {
					continue
				}
				if _, err := env.verify(rec.ID + "." + wrong); err != keys.ErrMismatch {
					t.Errorf("a wrong secret: %v", err)
				}
			}
			for range 2 {
				if p, err := env.verify(rec.ID + "." + tt.secret); err != nil || p.Environment != "test" {
					t.Fatalf("%+v, %v", p, err)
				}
			}
			after, _, err := env.store.Get(t.Context(), rec.ID)
			if err != nil {
				t.Fatal(err)
			}
			if upgraded := after.Digest != tt.digest; upgraded != tt.upgrade {
				t.Errorf("the digest is now a %v", after.Digest)
			}
			if tt.upgrade {
				after.Digest, after.Version = tt.digest, 1
				if diff := cmp.Diff(rec, after, cmpRecords); diff != "" {
					t.Errorf("the upgrade changed more than the digest:\n%s", diff)
				}
			}
		})
	}
}

// argonKnown is the digest of "password1234567890", made by the argon2
// reference program: echo -n … | argon2 saltsalt1234 -id -t 2 -k 64 -p 1 -l 32 -e.
const argonKnown = "$argon2id$v=19$m=64,t=2,p=1$c2FsdHNhbHQxMjM0$kQrYeN5KtZvMkwlnPVquZeviNictOt3WrS6bu8DxO40"

func TestUpgradeNeverUndoesARevocation(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	issued := env.create(keys.Spec{})
	text := issued.Text.Reveal()
	opts := &keys.Options{Format: partner, Peppers: []keys.Pepper{{Name: "p", Key: keys.NewSecret(strings.Repeat("p", 32))}}}
	_, verifier := env.over(opts)
	// The key is revoked after the verifier read the record and before it
	// writes the new digest.
	env.faults.Corrupt(storetest.Get, 1, func(rec *keys.Record) {
		if err := env.manager.Revoke(t.Context(), "acme", "", rec.ID); err != nil {
			t.Error(err)
		}
	})
	if _, err := verifier.Verify(t.Context(), text); err != nil {
		t.Fatalf("the check that began before the revocation: %v", err)
	}
	if _, err := verifier.Verify(t.Context(), text); err != keys.ErrRevoked {
		t.Errorf("after the revocation: %v", err)
	}
}

func TestUpgradeFailureIsNoRefusal(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	text := env.create(keys.Spec{}).Text.Reveal()
	var events []keys.Event
	_, verifier := env.over(&keys.Options{
		Format: partner, Peppers: []keys.Pepper{{Name: "p", Key: keys.NewSecret(strings.Repeat("p", 32))}},
		Hook: func(_ context.Context, e keys.Event) { events = append(events, e) },
	})
	env.faults.Fail(storetest.Update, storetest.Always, errors.New("read only"))
	if _, err := verifier.Verify(t.Context(), text); err != nil {
		t.Errorf("a store that cannot write refuses: %v", err)
	}
	if len(events) != 1 || events[0].Type != keys.Changed || events[0].Err == nil {
		t.Errorf("events %+v", events)
	}
}

// TestSlowHashesWaitForTheirTurn shows that a check of an imported digest ends
// with its context when others hold all the places.
func TestSlowHashesWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	env := newEnv(t, &keys.Options{Format: foreign})
	if _, err := env.manager.ImportDigest(t.Context(), "acme", "vck_a", mustDigest(t, argonKnown), keys.Spec{}); err != nil {
		t.Fatal(err)
	}
	release := env.verifier.HoldSlowHashes()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := env.verifier.Verify(ctx, "vck_a.password1234567890"); !errors.Is(err, keys.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("while others hold the places: %v", err)
	}
	if _, err := env.verify(env.create(keys.Spec{}).Text.Reveal()); err != nil {
		t.Errorf("a fast hash has to wait too: %v", err)
	}
	release()
	if _, err := env.verify("vck_a.password1234567890"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
