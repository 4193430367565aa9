package keys_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
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
	before := env.faults.Calls(storetest.Insert)
	if _, err := env.manager.Create(t.Context(), "acme", keys.Spec{}); !errors.Is(err, keys.ErrExists) {
		t.Errorf("when every ID was used before: %v", err)
	}
	if n := env.faults.Calls(storetest.Insert) - before; n != 4 {
		t.Errorf("%d IDs were drawn", n)
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
	again, err := env.manager.Import(t.Context(), "acme", keys.NewSecret("vck_test_AGAIN.your_secret_half_here"), keys.Spec{})
	if err != nil || again.Digest == rec.Digest {
		t.Errorf("two keys with one secret have one digest, %v", err)
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

func TestRateLimitsAreBounded(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	if _, err := env.manager.Create(t.Context(), "acme", keys.Spec{RateLimit: keys.MaxRateLimit + 1}); !errors.Is(err, keys.ErrInvalid) {
		t.Errorf("%v", err)
	}
	id := env.create(keys.Spec{RateLimit: keys.MaxRateLimit}).Record.ID
	if _, err := env.manager.Change(t.Context(), "acme", "", id, keys.Change{RateLimit: new(keys.MaxRateLimit + 1)}); !errors.Is(err, keys.ErrInvalid) {
		t.Errorf("%v", err)
	}
	if _, err := keys.NewManager(env.store, &keys.Options{RateLimit: keys.MaxRateLimit + 1}); err == nil {
		t.Error("a default beyond the bound: no error")
	}
}
