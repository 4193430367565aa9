package keys_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store/storetest"
	"github.com/google/go-cmp/cmp"
)

// caller makes a key, and returns the principal that a check of it gives.
func caller(t *testing.T, env *env, spec keys.Spec) keys.Principal {
	t.Helper()
	p, err := env.verify(env.create(spec).Text.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var admin = keys.Spec{Label: "admin", Scopes: []string{"keys:manage", "webhooks:manage"}}

// TestActorBounds makes credentials on behalf of callers of all kinds, and looks
// at what became of what they asked for.
func TestActorBounds(t *testing.T) {
	t.Parallel()
	beyond := func(field string) func(error) bool {
		return func(err error) bool {
			var e *keys.BeyondError
			return errors.As(err, &e) && errors.Is(err, keys.ErrBeyond) && e.Field == field
		}
	}
	is := func(want error) func(error) bool { return func(err error) bool { return errors.Is(err, want) } }
	lan, part := mustNetworks(t, "10.0.0.0/8"), mustNetworks(t, "10.1.0.0/16")
	session := keys.Principal{Org: "acme", ID: "user 7", Scopes: scopes.MustParse("keys:manage"), RateLimit: 50}
	for _, tt := range []struct {
		name   string
		caller any // a Spec or a Principal
		spec   keys.Spec
		want   keys.Record // as far as it is about bounds
		lives  time.Duration
		err    func(error) bool
	}{
		{
			name: "a key of everything", caller: admin, spec: admin,
			want: keys.Record{Scopes: scopes.MustParse("identity:read keys:manage webhooks:manage"), RateLimit: 600, Environment: "live"},
		},
		{name: "a key of nothing", caller: admin, want: keys.Record{Scopes: scopes.MustParse("identity:read"), RateLimit: 600, Environment: "live"}},
		{
			name: "a client of what the caller has", caller: admin, spec: keys.Spec{Kind: keys.KindClient},
			want: keys.Record{Scopes: scopes.MustParse("identity:read keys:manage webhooks:manage"), RateLimit: 600, Environment: "live"},
		},
		{
			name: "scopes beyond the caller's", caller: keys.Spec{Scopes: []string{"keys:manage"}},
			spec: keys.Spec{Scopes: []string{"webhooks:manage"}}, err: beyond(keys.FieldScopes),
		},
		{name: "scopes that nobody has", caller: admin, spec: keys.Spec{Scopes: []string{"leads:read"}}, err: is(scopes.ErrGrant)},
		{name: "a limit beyond the caller's", caller: keys.Spec{RateLimit: 5}, spec: keys.Spec{RateLimit: 6}, err: beyond(keys.FieldRateLimit)},
		{
			name: "no limit, of a caller with a low one", caller: keys.Spec{RateLimit: 5},
			want: keys.Record{Scopes: scopes.MustParse("identity:read"), RateLimit: 5, Environment: "live"},
		},
		{
			name: "an end of its own", caller: admin, spec: keys.Spec{Lifetime: time.Hour}, lives: time.Hour,
			want: keys.Record{Scopes: scopes.MustParse("identity:read"), RateLimit: 600, Environment: "live"},
		},
		{
			name: "no end, of a caller with one", caller: keys.Spec{Lifetime: time.Minute}, lives: time.Minute,
			want: keys.Record{Scopes: scopes.MustParse("identity:read"), RateLimit: 600, Environment: "live"},
		},
		{
			name: "an end beyond the caller's", caller: keys.Spec{Lifetime: time.Minute}, spec: keys.Spec{Lifetime: time.Hour, Kind: keys.KindClient}, lives: time.Minute,
			want: keys.Record{Scopes: scopes.MustParse("identity:read"), RateLimit: 600, Environment: "live"},
		},
		{
			name: "another environment, from the first", caller: admin, spec: keys.Spec{Environment: "test"},
			want: keys.Record{Scopes: scopes.MustParse("identity:read"), RateLimit: 600, Environment: "test"},
		},
		{
			name: "the environment of the caller", caller: keys.Spec{Environment: "test"}, spec: keys.Spec{Kind: keys.KindClient},
			want: keys.Record{Scopes: scopes.MustParse("identity:read"), RateLimit: 600, Environment: "test"},
		},
		{name: "another environment", caller: keys.Spec{Environment: "test"}, spec: keys.Spec{Environment: "live"}, err: beyond(keys.FieldEnvironment)},
		{name: "an environment that is none", caller: admin, spec: keys.Spec{Environment: "prod"}, err: is(keys.ErrInvalid)},
		{
			name: "the networks of the caller", caller: keys.Spec{Networks: lan},
			want: keys.Record{Scopes: scopes.MustParse("identity:read"), RateLimit: 600, Environment: "live", Networks: lan},
		},
		{
			name: "a part of the networks", caller: keys.Spec{Networks: lan}, spec: keys.Spec{Networks: part},
			want: keys.Record{Scopes: scopes.MustParse("identity:read"), RateLimit: 600, Environment: "live", Networks: part},
		},
		{name: "networks beyond the caller's", caller: keys.Spec{Networks: part}, spec: keys.Spec{Networks: lan}, err: beyond(keys.FieldNetworks)},
		{
			name: "a session", caller: session, spec: keys.Spec{Scopes: []string{"keys:manage"}, Environment: "test"},
			want: keys.Record{Scopes: scopes.MustParse("identity:read keys:manage"), RateLimit: 50, Environment: "test", CreatedBy: "host:user 7"},
		},
		{name: "a session without a limit", caller: keys.Principal{Org: "acme", ID: "cli:anna"}, err: beyond(keys.FieldRateLimit)},
		{
			name: "an actor's name", caller: keys.Principal{Org: "acme", ID: "cli:anna", RateLimit: 1},
			want: keys.Record{Scopes: scopes.MustParse("identity:read"), RateLimit: 1, Environment: "live", CreatedBy: "cli:anna"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				env := newEnv(t, nil)
				p, ok := tt.caller.(keys.Principal)
				if !ok {
					p = caller(t, env, tt.caller.(keys.Spec))
				}
				tt.spec.CreatedBy = "somebody else"
				issued, err := env.manager.As(p).Create(t.Context(), tt.spec)
				if tt.err != nil {
					if !tt.err(err) || issued.Text.Len() > 0 {
						t.Errorf("%v", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				rec, want := issued.Record, tt.want
				want.Label = tt.spec.Label
				want.ID, want.Digest, want.CreatedAt, want.Org, want.Version = rec.ID, rec.Digest, now(), "acme", 1
				if want.Kind = tt.spec.Kind; want.Kind == "" {
					want.Kind = keys.KindKey
				}
				if want.CreatedBy == "" {
					want.CreatedBy = p.ID
				}
				if tt.lives > 0 {
					want.ExpiresAt = now().Add(tt.lives)
				}
				if diff := cmp.Diff(want, rec, cmpRecords); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// TestTokensAct makes a key on behalf of a token: the client is its maker.
func TestTokensAct(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		client := createClient(t, env, keys.Spec{Scopes: []string{"keys:manage"}, Lifetime: time.Hour, Environment: "test", Metadata: "m", Label: "l"})
		token, err := env.manager.IssueToken(t.Context(), client.Record, scopes.Set{}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		p, err := env.verify(token.Text.Reveal())
		if err != nil || p.LastingID() != client.Record.ID || p.Environment != "test" || p.Metadata != "m" || p.Label != "l" {
			t.Fatalf("%+v, %v", p, err)
		}
		issued, err := env.manager.As(p).Create(t.Context(), keys.Spec{})
		if err != nil {
			t.Fatal(err)
		}
		rec := issued.Record
		if rec.CreatedBy != client.Record.ID || !rec.ExpiresAt.Equal(client.Record.ExpiresAt) || rec.Environment != "test" {
			t.Errorf("made by %q until %v in %q", rec.CreatedBy, rec.ExpiresAt, rec.Environment)
		}
	})
}

// TestActorChanges changes the credentials of others.
func TestActorChanges(t *testing.T) {
	t.Parallel()
	lan := mustNetworks(t, "10.0.0.0/8")
	narrow := keys.Spec{Scopes: []string{"keys:manage"}, RateLimit: 10}
	short := keys.Spec{Scopes: []string{"keys:manage"}, Lifetime: time.Minute}
	for _, tt := range []struct {
		name   string
		caller keys.Spec
		change keys.Change
		err    error
	}{
		{"the label of a wider key", narrow, keys.Change{Label: new("x")}, nil},
		{"narrower scopes for a wider key", narrow, keys.Change{Scopes: new([]string{"keys:manage"})}, nil},
		{"scopes that the key has, and the caller lacks", narrow, keys.Change{Scopes: new([]string{"webhooks:manage"})}, keys.ErrBeyond},
		{"a lower limit", narrow, keys.Change{RateLimit: new(10)}, nil},
		{"a limit beyond the caller's", narrow, keys.Change{RateLimit: new(11)}, keys.ErrBeyond},
		{"the default limit, beyond the caller's", narrow, keys.Change{RateLimit: new(0)}, keys.ErrBeyond},
		{"a pause of a wider key", narrow, keys.Change{Disabled: new(true)}, nil},
		{"its end", narrow, keys.Change{Disabled: new(false)}, keys.ErrBeyond},
		{"networks", narrow, keys.Change{Networks: &lan}, nil},
		{"networks beyond the caller's", keys.Spec{Networks: mustNetworks(t, "10.1.0.0/16")}, keys.Change{Networks: &lan}, keys.ErrBeyond},
		{"no networks, of a caller that has some", keys.Spec{Networks: lan}, keys.Change{Networks: new(keys.Networks)}, keys.ErrBeyond},
		{"an end", admin, keys.Change{Lifetime: new(time.Hour)}, nil},
		{"an end beyond the caller's", short, keys.Change{Lifetime: new(time.Hour)}, nil}, // brought forward
		{"forever", admin, keys.Change{Lifetime: new(keys.Forever)}, keys.ErrBeyond},
		{"forever, of a caller that ends", short, keys.Change{Lifetime: new(keys.Forever)}, nil}, // brought forward
		{"nothing", narrow, keys.Change{}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				env := newEnv(t, nil)
				p := caller(t, env, tt.caller)
				target := admin
				target.Lifetime = 30 * time.Minute
				old := env.create(target).Record
				rec, err := env.manager.As(p).Change(t.Context(), keys.KindKey, old.ID, tt.change)
				if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
					t.Fatalf("%v, want %v", err, tt.err)
				}
				stored, getErr := env.manager.Get(t.Context(), "acme", "", old.ID)
				if getErr != nil {
					t.Fatal(getErr)
				}
				if err != nil {
					if diff := cmp.Diff(old, stored, cmpRecords); diff != "" || rec != (keys.Record{}) {
						t.Errorf("a refused change is there:\n%s", diff)
					}
					return
				}
				if diff := cmp.Diff(stored, rec, cmpRecords); diff != "" {
					t.Errorf("another record is stored:\n%s", diff)
				}
				if tt.change.Lifetime != nil && rec.ExpiresAt.After(now().Add(time.Hour)) ||
					tt.caller.Lifetime > 0 && tt.change.Lifetime != nil && !rec.ExpiresAt.Equal(p.ExpiresAt) {
					t.Errorf("the end is %v", rec.ExpiresAt)
				}
			})
		})
	}
}

// TestNobodyExtendsItself has a key try for a later end in every way there is.
func TestNobodyExtendsItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		spec := admin
		spec.Lifetime = time.Hour
		p := caller(t, env, spec)
		end := p.ExpiresAt
		time.Sleep(time.Minute) // on the test's own clock
		for range 3 {
			rec, err := env.manager.As(p).Change(t.Context(), keys.KindKey, p.ID, keys.Change{Lifetime: new(24 * time.Hour)})
			if err != nil || rec.ExpiresAt.After(end) {
				t.Fatalf("by a change until %v, %v", rec.ExpiresAt, err)
			}
			next, err := env.manager.As(p).Rotate(t.Context(), p.ID, keys.Rotation{Overlap: keys.Forever, Lifetime: 24 * time.Hour})
			if err != nil || next.Record.ExpiresAt.After(end) {
				t.Fatalf("by a rotation until %v, %v", next.Record.ExpiresAt, err)
			}
			if p, err = env.verify(next.Text.Reveal()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestActorRevokes ends credentials on behalf of callers that have less.
func TestActorRevokes(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	narrow := env.manager.As(caller(t, env, keys.Spec{Scopes: []string{"keys:manage"}}))
	key, client := env.create(admin).Record.ID, createClient(t, env, admin).Record.ID
	if err := narrow.Revoke(t.Context(), keys.KindClient, client); !errors.Is(err, keys.ErrBeyond) {
		t.Errorf("a client that has more: %v", err)
	}
	if err := narrow.Revoke(t.Context(), keys.KindKey, client); !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("a client as a key: %v", err)
	}
	for range 2 {
		if err := narrow.Revoke(t.Context(), keys.KindKey, key); err != nil {
			t.Errorf("a key that has more: %v", err)
		}
	}
	if _, err := env.manager.RevokeAll(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if err := narrow.Revoke(t.Context(), keys.KindKey, key); err != keys.ErrCallerEnded {
		t.Errorf("a caller that was revoked: %v", err)
	}
}

// TestReadsOfActors counts the calls of the store for each operation.
func TestReadsOfActors(t *testing.T) {
	t.Parallel()
	env := newEnv(t, &keys.Options{MaxKeys: -1, MaxClients: -1})
	a := env.manager.As(caller(t, env, admin))
	key, client := env.create(admin).Record.ID, createClient(t, env, admin).Record.ID
	for _, op := range []struct {
		name                string
		do                  func() error
		gets, inserts, puts int
	}{
		{"create", func() error { _, err := a.Create(t.Context(), keys.Spec{}); return err }, 2, 1, 0},
		{"change", func() error {
			_, err := a.Change(t.Context(), keys.KindKey, key, keys.Change{Label: new("x")})
			return err
		}, 3, 0, 1},
		{"rotate a secret", func() error { _, err := a.RotateSecret(t.Context(), client, 0); return err }, 3, 0, 1},
		{"rotate", func() error { _, err := a.Rotate(t.Context(), key, keys.Rotation{Overlap: keys.Forever}); return err }, 3, 1, 1},
		{"revoke", func() error { return a.Revoke(t.Context(), keys.KindKey, key) }, 2, 0, 1},
	} {
		gets, inserts, puts := env.faults.Calls(storetest.Get), env.faults.Calls(storetest.Insert), env.faults.Calls(storetest.Update)
		if err := op.do(); err != nil {
			t.Fatalf("%s: %v", op.name, err)
		}
		gets, inserts, puts = env.faults.Calls(storetest.Get)-gets, env.faults.Calls(storetest.Insert)-inserts, env.faults.Calls(storetest.Update)-puts
		if gets != op.gets || inserts != op.inserts || puts != op.puts {
			t.Errorf("%s: %d reads, %d insertions and %d updates; want %d, %d and %d", op.name, gets, inserts, puts, op.gets, op.inserts, op.puts)
		}
	}
}

// TestRotationsTakeAll has callers rotate what has more than they have, in one
// respect or another: nothing is made or changed.
func TestRotationsTakeAll(t *testing.T) {
	t.Parallel()
	lan, part := mustNetworks(t, "10.0.0.0/8"), mustNetworks(t, "10.1.0.0/16")
	for _, tt := range []struct {
		field          string
		caller, target keys.Spec
	}{
		{keys.FieldScopes, keys.Spec{Scopes: []string{"keys:manage"}}, admin},
		{keys.FieldRateLimit, keys.Spec{RateLimit: 5}, keys.Spec{RateLimit: 6}},
		{keys.FieldNetworks, keys.Spec{Networks: part}, keys.Spec{Networks: lan}},
		{keys.FieldEnvironment, keys.Spec{Environment: "test"}, keys.Spec{Environment: "live"}},
	} {
		env := newEnv(t, nil)
		a := env.manager.As(caller(t, env, tt.caller))
		key, client := env.create(tt.target).Record.ID, createClient(t, env, tt.target).Record.ID
		before := env.records()
		next, rotate := a.Rotate(t.Context(), key, keys.Rotation{Overlap: keys.Forever})
		issued, secret := a.RotateSecret(t.Context(), client, time.Hour)
		for name, err := range map[string]error{"a key": rotate, "a secret": secret} {
			if e := (*keys.BeyondError)(nil); !errors.As(err, &e) || e.Field != tt.field {
				t.Errorf("%s beyond the %s of the caller: %v", name, tt.field, err)
			}
		}
		if next.Text.Len() > 0 || issued.Text.Len() > 0 || !cmp.Equal(before, env.records(), cmpRecords) {
			t.Errorf("%s: something was made or changed", tt.field)
		}
	}
}

func TestEnvironmentsOfActors(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	for own, want := range map[string][]string{"": {"live", "test"}, "live": {"live", "test"}, "test": {"test"}, "other": nil} {
		got := env.manager.As(keys.Principal{Org: "acme", Environment: own}).Environments()
		if len(got) != len(want) || !slices.Equal(got, want) {
			t.Errorf("in %q: %v, want %v", own, got, want)
		}
	}
	plain, err := keys.NewManager(env.store, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := plain.As(keys.Principal{Org: "acme"}).Environments(); len(got) != 0 {
		t.Errorf("a format without environments: %v", got)
	}
}

// TestActorsGiveWhatIsThere has a caller make a client with all that the caller has. One
// of its scopes is in no catalog any more, so the client does not get it. Then the caller
// asks for a client without an end. It has none already, so that is permitted.
func TestActorsGiveWhatIsThere(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	anna := keys.Principal{Org: "acme", ID: "anna", Scopes: scopes.MustParse("gone:read identity:read keys:manage"), RateLimit: 600}
	made, err := env.manager.As(anna).Create(t.Context(), keys.Spec{Kind: keys.KindClient})
	if err != nil || made.Record.Scopes != scopes.MustParse("identity:read keys:manage") {
		t.Errorf("%q, %v", made.Record.Scopes, err)
	}
	rec, err := env.manager.As(anna).Change(t.Context(), keys.KindClient, made.Record.ID, keys.Change{Lifetime: new(keys.Forever)})
	if err != nil || !rec.ExpiresAt.IsZero() {
		t.Errorf("ends at %v, %v", rec.ExpiresAt, err)
	}
}
