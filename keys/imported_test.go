package keys_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/storetest"
)

// TestImportTraps imports digests that nothing could ever be checked against.
func TestImportTraps(t *testing.T) {
	t.Parallel()
	env := migrating(t)
	of := func(text string, part keys.Part) keys.Digest {
		d, err := keys.ForeignDigest(text, part)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	const text = "acme_PWJApVjo_JFjnDXVUVDpRiZx5e9zuDfsP"
	hash := strings.Repeat("ab", 32)
	other := "ba_" + strings.Repeat("00", 16)
	for _, tt := range []struct {
		name string
		f    keys.Foreign
		want error
	}{
		{"a plain hash in the library's own form", keys.Foreign{ID: "acme_PWJApVjo", Digest: mustDigest(t, sha256Text)}, keys.ErrInvalid},
		{"the same beside the text", keys.Foreign{Text: keys.NewSecret(text), Digest: mustDigest(t, sha256Text)}, keys.ErrInvalid},
		{"a digest that is not of the text", keys.Foreign{Text: keys.NewSecret(text), Digest: of(hash, keys.SecretPart)}, keys.ErrInvalid},
		{"a digest of another part", keys.Foreign{Text: keys.NewSecret(text), Digest: of("e94ce3a31d2fd02e144aefe158d3d979a6705ad11909b4a98da98350cb513644", keys.TextPart)}, keys.ErrInvalid},
		{"an ID that does not come from the digest", keys.Foreign{ID: other, Digest: of(hash, keys.TextPart)}, keys.ErrInvalid},
		{"an ID from the hash of another part", keys.Foreign{ID: "ba_" + hash[:32], Digest: of(hash, keys.After('_'))}, keys.ErrInvalid},
		{"an ID beside another text", keys.Foreign{ID: "acme_other", Text: keys.NewSecret(text)}, keys.ErrInvalid},
		{"the beginning of the ID in the text", keys.Foreign{ID: "acme_PWJA", Text: keys.NewSecret(text)}, keys.ErrInvalid},
		{"an ID of no format", keys.Foreign{ID: "PWJApVjo", Digest: of(hash, keys.SecretPart)}, keys.ErrMalformed},
		{"a text of no format", keys.Foreign{Text: keys.NewSecret("short")}, keys.ErrMalformed},
		{"a token", keys.Foreign{Text: keys.NewSecret("oauth_" + strings.Repeat("z", 88))}, keys.ErrMalformed},
		{"nothing", keys.Foreign{ID: "acme_PWJApVjo"}, keys.ErrInvalid},
		{"a token's kind", keys.Foreign{ID: "acme_PWJApVjo", Digest: of(hash, keys.SecretPart), Spec: keys.Spec{Kind: keys.KindToken}}, keys.ErrInvalid},
		{"a client without an ID", keys.Foreign{Text: keys.NewSecret("x"), Spec: keys.Spec{Kind: keys.KindClient}}, keys.ErrMalformed},
		{"a client with the ID of a key", keys.Foreign{ID: "vck_x", Text: keys.NewSecret("x"), Spec: keys.Spec{Kind: keys.KindClient}}, keys.ErrMalformed},
		{"a client with the ID of a foreign key", keys.Foreign{ID: "drf_x", Text: keys.NewSecret("x"), Spec: keys.Spec{Kind: keys.KindClient}}, keys.ErrMalformed},
		{"a client with the ID of a token", keys.Foreign{ID: "oauth_x", Digest: of(hash, keys.SecretPart), Spec: keys.Spec{Kind: keys.KindClient}}, keys.ErrMalformed},
		{"a client with an actor's name", keys.Foreign{ID: "cli:anna", Text: keys.NewSecret("x"), Spec: keys.Spec{Kind: keys.KindClient}}, keys.ErrMalformed},
	} {
		tt.f.Org = "acme"
		for name, do := range map[string]func(context.Context, []keys.Foreign) []keys.Imported{
			"dry": env.manager.CheckImport, "in earnest": env.manager.ImportAll,
		} {
			if done := do(t.Context(), []keys.Foreign{tt.f}); !errors.Is(done[0].Err, tt.want) || done[0].Existed {
				t.Errorf("%s, %s: %v", tt.name, name, done[0].Err)
			}
		}
	}
	if n := len(env.records()); n != 0 {
		t.Errorf("%d records", n)
	}
}

// TestForeignKeyAsClient presents the ID of a key as that of a client. That is a mistake
// of whoever presents it, and not of the store.
func TestForeignKeyAsClient(t *testing.T) {
	t.Parallel()
	env := migrating(t)
	rec, err := env.manager.Import(t.Context(), "acme", keys.NewSecret("7|AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"), keys.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{rec.ID, env.create(keys.Spec{}).Record.ID} {
		if _, err := env.verifier.VerifyClient(t.Context(), id, "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789", time.Now()); err != keys.ErrMalformed {
			t.Errorf("%s: %v", id, err)
		}
	}
	strict := newEnv(t, nil)
	if _, err := strict.verifier.VerifyClient(t.Context(), "my-client", "secret", time.Now()); err != keys.ErrMalformed {
		t.Errorf("where no foreign clients are allowed: %v", err)
	}
}

// TestImportOverAnotherKind imports a key whose ID a client got when no format had such
// IDs of keys.
func TestImportOverAnotherKind(t *testing.T) {
	t.Parallel()
	env := migrating(t)
	digest, err := keys.ForeignDigest(strings.Repeat("ab", 32), keys.SecretPart)
	if err != nil {
		t.Fatal(err)
	}
	before, _ := env.on(env.store, &keys.Options{ClientFormat: foreignClients})
	if _, err := before.ImportDigest(t.Context(), "acme", "acme_PWJApVjo", digest, keys.Spec{Kind: keys.KindClient}); err != nil {
		t.Fatal(err)
	}
	done := env.manager.ImportAll(t.Context(), []keys.Foreign{{Org: "acme", ID: "acme_PWJApVjo", Digest: digest}})
	if !errors.Is(done[0].Err, keys.ErrExists) || done[0].Existed {
		t.Errorf("%+v", done[0])
	}
}

// TestImportAllMixed imports good and bad credentials at once.
func TestImportAllMixed(t *testing.T) {
	t.Parallel()
	env := migrating(t)
	created := now().Add(-time.Hour)
	list := []keys.Foreign{
		{Org: "acme", Text: keys.NewSecret("1|" + strings.Repeat("a", 40)), CreatedAt: created, ExpiresAt: created.Add(-time.Minute)},
		{Org: "acme", Text: keys.NewSecret("short")},
		{Org: "acme", Text: keys.NewSecret("2|" + strings.Repeat("b", 40)), CreatedAt: created, RevokedAt: created.Add(1)},
		{Org: "acme", Text: keys.NewSecret("1|" + strings.Repeat("a", 40))}, // the first once more
		{Org: "acme", Text: keys.NewSecret("1|" + strings.Repeat("c", 40))}, // its ID with another secret
		{Org: "acme", Text: keys.NewSecret("3|" + strings.Repeat("d", 40)), Spec: keys.Spec{Scopes: []string{"webhooks:manage"}, Environment: "test", Label: "three"}, DisabledAt: created},
	}
	env.types()
	done := env.manager.ImportAll(t.Context(), list)
	var errs []error
	for _, d := range done {
		errs = append(errs, d.Err)
	}
	if errs[0] != nil || !errors.Is(errs[1], keys.ErrMalformed) || errs[2] != nil || errs[3] != nil || !done[3].Existed || !errors.Is(errs[4], keys.ErrExists) || errs[5] != nil {
		t.Fatal(errs)
	}
	if got := env.types(); !slices.Equal(got, []keys.EventType{keys.Created, keys.Created, keys.Created}) {
		t.Errorf("events %v", got)
	}
	for text, want := range map[string]error{
		list[0].Text.Reveal(): keys.ErrExpired, list[2].Text.Reveal(): keys.ErrRevoked, list[5].Text.Reveal(): keys.ErrPaused, list[4].Text.Reveal(): keys.ErrMismatch,
	} {
		if _, err := env.verify(text); err != want {
			t.Errorf("%v, want %v", err, want)
		}
	}
	if rec := done[5].Record; rec.Label != "three" || rec.Environment != "test" || rec.Scopes.String() != "identity:read webhooks:manage" || done[0].Record.CreatedAt != created {
		t.Errorf("%+v", rec)
	}
}

// TestImportAllFails has the store fail in the middle: what is in it is said to be,
// and the rest can be imported again.
func TestImportAllFails(t *testing.T) {
	t.Parallel()
	env := migrating(t)
	var list []keys.Foreign
	for _, c := range "abcde" {
		list = append(list, keys.Foreign{Org: "acme", Text: keys.NewSecret(string(c) + "|" + strings.Repeat("s", 40))})
	}
	env.during = func(string) {} // nothing, at the first
	env.after = func(string) { env.faults.Fail(storetest.Insert, 1, errors.New("disk full")) }
	done := env.manager.ImportAll(t.Context(), list)
	if done[0].Err != nil {
		t.Errorf("before the failure: %v", done[0].Err)
	}
	for _, d := range done[1:] {
		if !errors.Is(d.Err, keys.ErrUnavailable) {
			t.Errorf("after it: %v", d.Err)
		}
	}
	for i, d := range env.manager.ImportAll(t.Context(), list) {
		if d.Err != nil || d.Existed != (i == 0) {
			t.Errorf("%d, again: %+v", i, d)
		}
	}
}

// TestForeignLife leads what was imported through the life of any credential: found,
// paused, rotated and revoked.
func TestForeignLife(t *testing.T) {
	t.Parallel()
	env := migrating(t)
	ctx := t.Context()
	const keyText, secret = "9b1f6c3e-52a7|x9KdLmQpRsTuVwXyZaBcDeFgHiJkLmNo", "b2xkLWh5ZHJhLXNlY3JldC1mb3ItYWNtZQ"
	done := env.manager.ImportAll(ctx, []keys.Foreign{
		{Org: "acme", Text: keys.NewSecret(keyText), Spec: keys.Spec{Scopes: []string{"webhooks:manage"}}},
		{Org: "acme", ID: "photos.example.com", Text: keys.NewSecret(secret), Spec: keys.Spec{Kind: keys.KindClient}},
	})
	key, c := done[0].Record, done[1].Record
	if done[0].Err != nil || done[1].Err != nil {
		t.Fatal(done)
	}
	if got, err := env.manager.Get(ctx, "acme", keys.KindKey, key.ID); err != nil || got.ID != "sanctum_9b1f6c3e-52a7" {
		t.Errorf("%q, %v", got.ID, err)
	}
	if _, err := env.manager.Change(ctx, "acme", keys.KindKey, key.ID, keys.Change{Disabled: new(true)}); err != nil {
		t.Fatal(err)
	}
	if _, err := env.verify(keyText); err != keys.ErrPaused {
		t.Errorf("paused: %v", err)
	}
	if _, err := env.manager.Change(ctx, "acme", keys.KindKey, key.ID, keys.Change{Disabled: new(false)}); err != nil {
		t.Fatal(err)
	}
	next, err := env.manager.Rotate(ctx, "acme", key.ID, keys.Rotation{Overlap: time.Hour})
	if err != nil || !strings.HasPrefix(next.Record.ID, "vck_live_") || next.Record.Scopes != key.Scopes {
		t.Fatalf("%v, %v", next.Record, err)
	}
	for _, text := range []string{keyText, next.Text.Reveal()} {
		if _, err := env.verify(text); err != nil {
			t.Errorf("during the overlap: %v", err)
		}
	}
	rotated, err := env.manager.RotateSecret(ctx, "acme", c.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{secret, rotated.Text.Reveal()} {
		if _, err := env.verifier.VerifyClient(ctx, c.ID, text, time.Now()); err != nil {
			t.Errorf("during the overlap: %v", err)
		}
	}
	again := []keys.Foreign{{Org: "acme", ID: c.ID, Text: keys.NewSecret(secret), Spec: keys.Spec{Kind: keys.KindClient}}}
	if done := env.manager.ImportAll(ctx, again); done[0].Err != nil || !done[0].Existed {
		t.Errorf("imported again during the overlap: %+v", done[0])
	}
	for kind, id := range map[keys.Kind]string{keys.KindKey: key.ID, keys.KindClient: c.ID} {
		if err := env.manager.Revoke(ctx, "acme", kind, id); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := env.verify(keyText); err != keys.ErrRevoked {
		t.Errorf("revoked: %v", err)
	}
	if _, err := env.verifier.VerifyClient(ctx, c.ID, secret, time.Now()); err != keys.ErrRevoked {
		t.Errorf("revoked: %v", err)
	}
	for i, d := range env.manager.ImportAll(ctx, []keys.Foreign{{Org: "acme", Text: keys.NewSecret(keyText)}}) {
		if d.Err != nil || !d.Existed || !d.Record.Revoked() {
			t.Errorf("%d, imported again: %+v", i, d)
		}
	}
}

// TestForeignKeyFromTheFuture rotates a key that was made later than it ends, as the
// other system says. The successor must not be over when it is made.
func TestForeignKeyFromTheFuture(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := migrating(t)
		end := now().Add(30 * time.Minute)
		done := env.manager.ImportAll(t.Context(), []keys.Foreign{
			{Org: "acme", Text: keys.NewSecret("7|x9KdLmQpRsTuVwXyZaBcDeFgHiJkLmNo"), CreatedAt: end.Add(time.Hour), ExpiresAt: end},
		})
		if done[0].Err != nil {
			t.Fatal(done[0].Err)
		}
		next, err := env.manager.Rotate(t.Context(), "acme", done[0].Record.ID, keys.Rotation{})
		if err != nil || !next.Record.ExpiresAt.Equal(end) {
			t.Errorf("the successor ends at %v, want %v (%v)", next.Record.ExpiresAt, end, err)
		}
		if _, err := env.verify(next.Text.Reveal()); err != nil {
			t.Errorf("the successor: %v", err)
		}
	})
}

// TestImportAfterRotations imports a client again that has got other secrets since. It is
// still the same client, and not another one that has its ID.
func TestImportAfterRotations(t *testing.T) {
	t.Parallel()
	env := migrating(t)
	list := []keys.Foreign{{Org: "acme", ID: "photos.example.com", Text: keys.NewSecret("b2xkLWh5ZHJhLXNlY3JldC1mb3ItYWNtZQ"), Spec: keys.Spec{Kind: keys.KindClient}}}
	if done := env.manager.ImportAll(t.Context(), list); done[0].Err != nil {
		t.Fatal(done[0].Err)
	}
	other := list[0]
	other.Text = keys.NewSecret("YW5vdGhlciBzZWNyZXQgdGhhbiB0aGF0IG9uZQ")
	if done := env.manager.ImportAll(t.Context(), []keys.Foreign{other}); !errors.Is(done[0].Err, keys.ErrExists) {
		t.Errorf("another secret: %+v", done[0])
	}
	for range 2 {
		if _, err := env.manager.RotateSecret(t.Context(), "acme", list[0].ID, time.Hour); err != nil {
			t.Fatal(err)
		}
		for name, done := range map[string][]keys.Imported{"": env.manager.ImportAll(t.Context(), list), "dry": env.manager.CheckImport(t.Context(), list)} {
			if done[0].Err != nil || !done[0].Existed {
				t.Errorf("%s: %+v", name, done[0])
			}
		}
	}
}
