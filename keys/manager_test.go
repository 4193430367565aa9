package keys_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store/storetest"
	"github.com/google/go-cmp/cmp"
)

func TestCreate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		issued := env.create(keys.Spec{
			Label: "CI", Scopes: []string{"webhooks:manage"}, Environment: "test", Lifetime: time.Hour, RateLimit: 60,
		})
		want := keys.Record{
			ID: issued.Record.ID, Kind: keys.KindKey, Org: "acme", Label: "CI", Scopes: scopes.MustParse("identity:read webhooks:manage"),
			RateLimit: 60, Environment: "test", Digest: issued.Record.Digest, CreatedAt: now(), ExpiresAt: now().Add(time.Hour), Version: 1,
		}
		if diff := cmp.Diff(want, issued.Record, cmpRecords); diff != "" {
			t.Error(diff)
		}
		if !strings.HasPrefix(issued.Text.Reveal(), issued.Record.ID+".") || !strings.HasPrefix(issued.Record.ID, "vck_test_") {
			t.Errorf("the ID is %q", issued.Record.ID)
		}
		stored, err := env.manager.Get(t.Context(), "acme", "", issued.Record.ID)
		if diff := cmp.Diff(issued.Record, stored, cmpRecords); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
		if got := env.types(); !slices.Equal(got, []keys.EventType{keys.Created}) {
			t.Errorf("events %v", got)
		}
	})
}

func TestCreateDefaults(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{0, 42} {
		rec := newEnv(t, &keys.Options{RateLimit: limit}).create(keys.Spec{}).Record
		want := max(limit, limit+(600*(1-min(limit, 1))))
		if rec.Scopes.String() != "identity:read" || !strings.HasPrefix(rec.ID, "vck_live_") || !rec.ExpiresAt.IsZero() || rec.RateLimit != want {
			t.Errorf("default %d: scopes %q, ID %q, limit %d, until %v", limit, rec.Scopes, rec.ID, rec.RateLimit, rec.ExpiresAt)
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	for name, tt := range map[string]struct {
		org  string
		spec keys.Spec
		want error
	}{
		"no organization":     {"", keys.Spec{}, keys.ErrInvalid},
		"a NUL":               {"acme\x00", keys.Spec{}, keys.ErrInvalid},
		"bad UTF-8":           {"acme\xff", keys.Spec{}, keys.ErrInvalid},
		"a long organization": {strings.Repeat("a", 256), keys.Spec{}, keys.ErrInvalid},
		"a long label":        {"acme", keys.Spec{Label: strings.Repeat("ü", 257)}, keys.ErrInvalid},
		"a label with NUL":    {"acme", keys.Spec{Label: "a\x00"}, keys.ErrInvalid},
		"a negative limit":    {"acme", keys.Spec{RateLimit: -1}, keys.ErrInvalid},
		"a negative lifetime": {"acme", keys.Spec{Lifetime: -time.Hour}, keys.ErrInvalid},
		"a fraction":          {"acme", keys.Spec{Lifetime: time.Microsecond}, keys.ErrInvalid},
		"an environment":      {"acme", keys.Spec{Environment: "prod"}, keys.ErrInvalid},
		"a reserved scope":    {"acme", keys.Spec{Scopes: []string{"leads:read"}}, scopes.ErrGrant},
		"an unknown scope":    {"acme", keys.Spec{Scopes: []string{"nope"}}, scopes.ErrGrant},
		"a scope of two":      {"acme", keys.Spec{Scopes: []string{"keys:manage webhooks:manage"}}, scopes.ErrGrant},
	} {
		issued, err := env.manager.Create(t.Context(), tt.org, tt.spec)
		if !errors.Is(err, tt.want) || issued.Text.Len() != 0 {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	if n := env.faults.Calls(storetest.Insert); n != 0 {
		t.Errorf("%d bad records reached the store", n)
	}
	if _, err := env.manager.Create(t.Context(), "acme", keys.Spec{Label: strings.Repeat("ü", 256)}); err != nil {
		t.Errorf("a label of 256 characters: %v", err)
	}
}

func TestCreateDrawsAgain(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	env.faults.Fail(storetest.Insert, 3, keys.ErrExists)
	if _, err := env.manager.Create(t.Context(), "acme", keys.Spec{}); err != nil {
		t.Errorf("after three IDs that were used before: %v", err)
	}
	env.faults.Fail(storetest.Insert, storetest.Always, fmt.Errorf("wrapped: %w", keys.ErrExists))
	if _, err := env.manager.Create(t.Context(), "acme", keys.Spec{}); !errors.Is(err, keys.ErrExists) {
		t.Errorf("when every ID was used before: %v", err)
	}
}

func TestImport(t *testing.T) {
	t.Parallel()
	env := newEnv(t, &keys.Options{Format: foreign})
	const text = "vck_test_REPLACE_ME.your_secret_half_here"
	rec, err := env.manager.Import(t.Context(), "acme", keys.NewSecret(text), keys.Spec{Scopes: []string{"webhooks:manage"}})
	if err != nil || rec.ID != "vck_test_REPLACE_ME" {
		t.Fatalf("%v, %v", rec, err)
	}
	if rec.Digest.String() != "argon2id" {
		t.Errorf("a short secret is kept as %v", rec.Digest)
	}
	if p, err := env.verify(text); err != nil || p.ID != rec.ID || p.Environment != "test" {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := env.manager.Import(t.Context(), "globex", keys.NewSecret(text), keys.Spec{}); !errors.Is(err, keys.ErrExists) {
		t.Errorf("the same ID again: %v", err)
	}
	long, err := env.manager.Import(t.Context(), "acme", keys.NewSecret("vck_x."+strings.Repeat("y", 32)), keys.Spec{})
	if err != nil || long.Digest.String() != "sha256" {
		t.Errorf("a long secret is kept as %v, %v", long.Digest, err)
	}
	for name, text := range map[string]string{"junk": "junk", "another prefix": "sk_a.b", "no secret": "vck_a."} {
		if _, err := env.manager.Import(t.Context(), "acme", keys.NewSecret(text), keys.Spec{}); !errors.Is(err, keys.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := env.manager.ImportDigest(t.Context(), "acme", "sk_a", rec.Digest, keys.Spec{}); !errors.Is(err, keys.ErrMalformed) {
		t.Errorf("an ID of another format: %v", err)
	}
	if _, err := env.manager.Import(t.Context(), "acme", keys.NewSecret("vck_c.d"), keys.Spec{Scopes: []string{"nope"}}); !errors.Is(err, scopes.ErrGrant) {
		t.Errorf("an unknown scope: %v", err)
	}
	if _, err := env.manager.ImportDigest(t.Context(), "acme", "vck_b", keys.Digest{}, keys.Spec{}); !errors.Is(err, keys.ErrInvalid) {
		t.Errorf("no digest: %v", err)
	}
	if _, err := newEnv(t, nil).manager.Import(t.Context(), "acme", keys.NewSecret(text), keys.Spec{}); !errors.Is(err, keys.ErrMalformed) {
		t.Errorf("where foreign keys are not allowed: %v", err)
	}
}

func TestOrganizationsAreApart(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	mine := env.create(keys.Spec{Label: "mine"})
	id := mine.Record.ID
	for _, org := range []string{"globex", "", "ACME", "acme ", "acm"} {
		for _, id := range []string{id, "vck_live_unknown", ""} {
			_, get := env.manager.Get(t.Context(), org, "", id)
			_, change := env.manager.Change(t.Context(), org, "", id, keys.Change{Label: new("theirs")})
			_, rotate := env.manager.Rotate(t.Context(), org, id, keys.Rotation{Overlap: keys.Forever})
			revoke := env.manager.Revoke(t.Context(), org, "", id)
			for name, err := range map[string]error{"get": get, "change": change, "rotate": rotate, "revoke": revoke} {
				if err == nil || err.Error() != keys.ErrNotFound.Error() && !errors.Is(err, keys.ErrNotFound) {
					t.Errorf("%s of %q by %q: %v", name, id, org, err)
				}
			}
		}
	}
	if n, err := env.manager.RevokeAll(t.Context(), "globex"); n != 0 || err != nil {
		t.Errorf("revoke all of another: %d, %v", n, err)
	}
	for rec, err := range env.manager.List(t.Context(), keys.Query{Org: "globex", Kind: keys.KindKey}) {
		t.Errorf("another sees %v, %v", rec, err)
	}
	if after, err := env.manager.Get(t.Context(), "acme", "", id); err != nil || after.Version != 1 {
		t.Errorf("afterwards: %v, %v", after, err)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	var want []string
	for i := range 250 {
		rec := env.create(keys.Spec{}).Record
		want = append(want, rec.ID)
		if i%3 == 0 {
			if err := env.manager.Revoke(t.Context(), "acme", "", rec.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := env.manager.Create(t.Context(), "globex", keys.Spec{}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	list := func(after string) (ids []string) {
		for rec, err := range env.manager.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindKey, After: after}) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, rec.ID)
		}
		return ids
	}
	if diff := cmp.Diff(want, list("")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want[200:], list(want[199])); diff != "" {
		t.Error(diff)
	}
	for range env.manager.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindKey}) {
		break
	}
	env.faults.Fail(storetest.List, storetest.Always, errors.New("down"))
	n := 0
	for rec, err := range env.manager.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindKey}) {
		if n++; err == nil || rec.ID != "" {
			t.Errorf("%v, %v from a store that fails", rec, err)
		}
	}
	if n != 1 {
		t.Errorf("the iteration went on for %d steps after an error", n)
	}
}

func TestChange(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	issued := env.create(keys.Spec{Label: "before", Scopes: []string{"keys:manage"}})
	id := issued.Record.ID
	change := func(c keys.Change) keys.Record {
		t.Helper()
		rec, err := env.manager.Change(t.Context(), "acme", "", id, c)
		if err != nil {
			t.Fatal(err)
		}
		stored, _, err := env.store.Get(t.Context(), id)
		if diff := cmp.Diff(stored, rec, cmpRecords); diff != "" || err != nil {
			t.Errorf("stored is another record: %v\n%s", err, diff)
		}
		return rec
	}
	if rec := change(keys.Change{}); rec.Label != "before" || rec.Scopes != issued.Record.Scopes || rec.RateLimit != 600 {
		t.Errorf("no change changed %+v", rec)
	}
	if rec := change(keys.Change{Label: new("after"), RateLimit: new(60)}); rec.Label != "after" || rec.RateLimit != 60 || rec.Scopes != issued.Record.Scopes {
		t.Errorf("label and limit: %+v", rec)
	}
	if rec := change(keys.Change{Scopes: new([]string{"webhooks:manage"})}); rec.Scopes.String() != "identity:read webhooks:manage" {
		t.Errorf("scopes: %q", rec.Scopes)
	}
	if p, err := env.verify(issued.Text.Reveal()); err != nil || p.Scopes.Contains("keys:manage") || p.RateLimit != 60 {
		t.Errorf("the key now: %+v, %v", p, err)
	}
	if rec := change(keys.Change{Scopes: new([]string{}), Label: new("")}); rec.Scopes.String() != "identity:read" || rec.Label != "" {
		t.Errorf("emptied: %+v", rec)
	}
	for name, tt := range map[string]struct {
		change keys.Change
		want   error
	}{
		"a reserved scope": {keys.Change{Scopes: new([]string{"leads:read"})}, scopes.ErrGrant},
		"a negative limit": {keys.Change{RateLimit: new(-1)}, keys.ErrInvalid},
		"a long label":     {keys.Change{Label: new(strings.Repeat("a", 257))}, keys.ErrInvalid},
	} {
		if _, err := env.manager.Change(t.Context(), "acme", "", id, tt.change); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := env.manager.Revoke(t.Context(), "acme", "", id); err != nil {
		t.Fatal(err)
	}
	if _, err := env.manager.Change(t.Context(), "acme", "", id, keys.Change{Label: new("x")}); !errors.Is(err, keys.ErrRevoked) {
		t.Errorf("a revoked key: %v", err)
	}
}

func TestChangeTells(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id := env.create(keys.Spec{}).Record.ID
	env.types()
	if _, err := env.manager.Change(t.Context(), "acme", "", id, keys.Change{Label: new("x")}); err != nil {
		t.Fatal(err)
	}
	if e := env.last(); e.Type != keys.Changed || e.ID != id || e.Org != "acme" || e.Kind != keys.KindKey || e.Err != nil {
		t.Errorf("event %+v", e)
	}
	env.types()
	if _, err := env.manager.Change(t.Context(), "acme", "", id, keys.Change{RateLimit: new(-1)}); err == nil {
		t.Error("a negative limit: no error")
	}
	if got := env.types(); len(got) != 0 {
		t.Errorf("a change that was refused told %v", got)
	}
}

func TestConflicts(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id := env.create(keys.Spec{}).Record.ID
	env.faults.Fail(storetest.Update, 5, keys.ErrConflict)
	if _, err := env.manager.Change(t.Context(), "acme", "", id, keys.Change{Label: new("x")}); err != nil {
		t.Errorf("after five conflicts: %v", err)
	}
	env.faults.Fail(storetest.Update, storetest.Always, keys.ErrConflict)
	before := env.faults.Calls(storetest.Update)
	if err := env.manager.Revoke(t.Context(), "acme", "", id); !errors.Is(err, keys.ErrConflict) {
		t.Errorf("with nothing but conflicts: %v", err)
	}
	if n := env.faults.Calls(storetest.Update) - before; n < 8 || n > 100 {
		t.Errorf("%d tries", n)
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	issued := env.create(keys.Spec{})
	id := issued.Record.ID
	env.types()
	for range 2 {
		if err := env.manager.Revoke(t.Context(), "acme", "", id); err != nil {
			t.Fatal(err)
		}
	}
	rec, err := env.manager.Get(t.Context(), "acme", "", id)
	if err != nil || !rec.Revoked() || rec.RevokedAt.Before(rec.CreatedAt) || rec.Version != 2 {
		t.Errorf("%+v, %v", rec, err)
	}
	if got := env.types(); !slices.Equal(got, []keys.EventType{keys.Revoked}) {
		t.Errorf("events %v", got)
	}
	if _, err := env.verify(issued.Text.Reveal()); err != keys.ErrRevoked {
		t.Errorf("verified: %v", err)
	}
	if err := env.store.Insert(t.Context(), issued.Record); !errors.Is(err, keys.ErrExists) {
		t.Errorf("the ID can come back: %v", err)
	}
	env.faults.Fail(storetest.Update, storetest.Always, errors.New("down"))
	if err := env.manager.Revoke(t.Context(), "acme", "", env.create(keys.Spec{}).Record.ID); err == nil {
		t.Error("a revocation that the store did not make is reported as made")
	}
}

// TestRevokeByASlowClock revokes a key that a node with a faster clock made.
func TestRevokeByASlowClock(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	rec := goodRecord(t, keys.KindKey)
	rec.CreatedAt = now().Add(time.Hour)
	env.insert(rec)
	if err := env.manager.Revoke(t.Context(), "acme", "", rec.ID); err != nil {
		t.Fatal(err)
	}
	after, err := env.manager.Get(t.Context(), "acme", "", rec.ID)
	if err != nil || !after.RevokedAt.Equal(rec.CreatedAt) {
		t.Errorf("revoked at %v, want %v, %v", after.RevokedAt, rec.CreatedAt, err)
	}
}

// TestRevokeUnderLoad checks a key from several goroutines while it is revoked:
// no check that starts after Revoke has returned may pass.
func TestRevokeUnderLoad(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	for range 50 {
		issued := env.create(keys.Spec{})
		text := issued.Text.Reveal()
		started, revoked := make(chan struct{}, 4), make(chan struct{})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for first := true; ; first = false {
					var over bool
					select {
					case <-revoked:
						over = true
					default:
					}
					_, err := env.verify(text)
					if over {
						if err != keys.ErrRevoked {
							t.Errorf("after Revoke returned: %v", err)
						}
						return
					}
					if err != nil && err != keys.ErrRevoked {
						t.Errorf("meanwhile: %v", err)
					}
					if first {
						started <- struct{}{}
					}
				}
			})
		}
		for range 4 {
			<-started
		}
		if err := env.manager.Revoke(t.Context(), "acme", "", issued.Record.ID); err != nil {
			t.Error(err)
		}
		close(revoked)
		wg.Wait()
	}
}

// TestConcurrentChangesAllCount adds up changes of one record by many callers.
func TestConcurrentChangesAllCount(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id := env.create(keys.Spec{}).Record.ID
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				for {
					_, err := env.manager.Change(t.Context(), "acme", "", id, keys.Change{Label: new("x")})
					if err == nil {
						break
					}
					if !errors.Is(err, keys.ErrConflict) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	if rec, err := env.manager.Get(t.Context(), "acme", "", id); err != nil || rec.Version != 1+8*20 {
		t.Errorf("version %d, %v", rec.Version, err)
	}
}

func TestRevokeAll(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	var texts []string
	for range 120 {
		texts = append(texts, env.create(keys.Spec{}).Text.Reveal())
	}
	_, _, _, tokenText := pair(t, env)
	texts = append(texts, tokenText)
	other, err := env.manager.Create(t.Context(), "globex", keys.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := env.manager.RevokeAll(t.Context(), "acme"); n != 121 || err != nil {
		t.Errorf("revoked %d, %v; want 120 keys and a client", n, err)
	}
	for _, text := range texts {
		if _, err := env.verify(text); err != keys.ErrRevoked {
			t.Fatalf("a credential goes on: %v", err)
		}
	}
	if _, err := env.verify(other.Text.Reveal()); err != nil {
		t.Errorf("another organization's key: %v", err)
	}
	if n, err := env.manager.RevokeAll(t.Context(), "acme"); n != 0 || err != nil {
		t.Errorf("again: %d, %v", n, err)
	}
	env.create(keys.Spec{})
	cause := errors.New("down")
	for _, method := range []storetest.Method{storetest.Update, storetest.List} {
		env.faults.Fail(method, 1, cause)
		if n, err := env.manager.RevokeAll(t.Context(), "acme"); n != 0 || !errors.Is(err, cause) {
			t.Errorf("a store that fails: %d, %v", n, err)
		}
	}
	if n, err := env.manager.RevokeAll(t.Context(), "acme"); n != 1 || err != nil {
		t.Errorf("after that: %d, %v", n, err)
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	clientRec, tokenRec, _, text := pair(t, env)
	keyRec := env.create(keys.Spec{Lifetime: time.Minute}).Record
	if n, err := env.manager.Sweep(t.Context(), now()); n != 0 || err != nil {
		t.Errorf("swept %d, %v; nothing is over", n, err)
	}
	if _, err := env.verify(text); err != nil {
		t.Error(err)
	}
	if n, err := env.manager.Sweep(t.Context(), now().Add(2*time.Hour)); n != 1 || err != nil {
		t.Errorf("swept %d, %v; want the token", n, err)
	}
	for id, want := range map[string]error{tokenRec.ID: keys.ErrNotFound, clientRec.ID: nil, keyRec.ID: nil} {
		if _, err := env.manager.Get(t.Context(), "acme", "", id); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", id, err, want)
		}
	}
	cause := errors.New("down")
	env.faults.Fail(storetest.Sweep, storetest.Always, cause)
	if _, err := env.manager.Sweep(t.Context(), now()); !errors.Is(err, cause) {
		t.Errorf("a store that fails: %v", err)
	}
}

func TestConstructorsRefuse(t *testing.T) {
	t.Parallel()
	s := newEnv(t, nil).store
	for name, opts := range map[string]*keys.Options{
		"a negative limit":     {RateLimit: -1},
		"keys apart":           {Format: client},
		"tokens apart":         {TokenFormat: client},
		"keys in pieces":       {Format: keys.MustFormat("k_", keys.Apart, nil)},
		"tokens in pieces":     {TokenFormat: keys.MustFormat("t_", keys.Apart, nil)},
		"clients in one piece": {ClientFormat: keys.MustFormat("c_", keys.Fixed, nil)},
		"clients in one text":  {ClientFormat: partner},
		"the same prefix":      {Format: keys.MustFormat("oauth_", keys.Dotted, nil)},
		"a prefix of a prefix": {Format: keys.MustFormat("oauth_key_", keys.Dotted, nil)},
		"another way round":    {Format: keys.MustFormat("cc_x_", keys.Dotted, nil)},
	} {
		if _, err := keys.NewManager(s, opts); err == nil {
			t.Errorf("%s: no error from NewManager", name)
		}
		if _, err := keys.NewVerifier(s, opts); err == nil {
			t.Errorf("%s: no error from NewVerifier", name)
		}
	}
	if _, err := keys.NewManager(nil, nil); err == nil {
		t.Error("no store: no error from NewManager")
	}
	if _, err := keys.NewVerifier(nil, nil); err == nil {
		t.Error("no store: no error from NewVerifier")
	}
	if _, err := keys.NewManager(s, nil); err != nil {
		t.Errorf("no options: %v", err)
	}
}

// TestNothingLeaks runs a life cycle with a capturing hook and looks forevery
// secret in what was stored, reported, listed and returned as an error.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	var seen strings.Builder
	var secrets []string
	note := func(values ...any) { fmt.Fprintf(&seen, "%v %+v %#v\n", values, values, values) }
	for range 3 {
		issued := env.create(keys.Spec{Label: "x"})
		_, secret, _ := strings.Cut(issued.Text.Reveal(), ".")
		secrets = append(secrets, secret, secret[:20], secret[20:40])
		next, err := env.manager.Rotate(t.Context(), "acme", issued.Record.ID, keys.Rotation{})
		if err != nil {
			t.Fatal(err)
		}
		_, secret, _ = strings.Cut(next.Text.Reveal(), ".")
		secrets = append(secrets, secret)
		_, refused := env.verify(issued.Text.Reveal())
		_, junk := env.verify(next.Text.Reveal() + "x")
		env.faults.Fail(storetest.Get, storetest.Always, errors.New("down"))
		_, down := env.verify(next.Text.Reveal())
		env.faults.Heal()
		note(issued, next, refused, junk, down)
	}
	for rec, err := range env.manager.List(context.Background(), keys.Query{Org: "acme", Kind: keys.KindKey}) {
		text, marshalErr := rec.Digest.MarshalText()
		note(rec, err, string(text), marshalErr)
	}
	note(env.events)
	for _, secret := range secrets {
		if strings.Contains(seen.String(), secret) {
			t.Errorf("the secret %s… leaked", secret[:4])
		}
	}
}
