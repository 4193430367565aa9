package keys_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/storetest"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"
)

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

// TestOldSecretsAreNotMoved shows the old secret of a client during a rotation, when both
// of its digests are to be replaced. The digest of the new secret stays what it is.
func TestOldSecretsAreNotMoved(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	client := createClient(t, env, keys.Spec{})
	next, err := env.manager.RotateSecret(t.Context(), "acme", client.Record.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	_, verifier := env.over(&keys.Options{Peppers: []keys.Pepper{{Name: "p", Key: keys.NewSecret(strings.Repeat("p", 32))}}})
	for _, text := range []keys.Secret{client.Text, next.Text, client.Text} {
		if _, err := verifier.VerifyClient(t.Context(), client.Record.ID, text.Reveal(), time.Now()); err != nil {
			t.Error(err)
		}
	}
}

// TestOldSecretsOfOtherSystems shows the old secret of a client whose digest another
// system made, of all of the text, after the client was given a new one.
func TestOldSecretsOfOtherSystems(t *testing.T) {
	t.Parallel()
	env := migrating(t)
	const secret = "your_secret_here"
	sum := sha256.Sum256([]byte(secret))
	digest, err := keys.ForeignDigest(hex.EncodeToString(sum[:]), keys.TextPart)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := env.manager.ImportDigest(t.Context(), "acme", "web", digest, keys.Spec{Kind: keys.KindClient}); err != nil {
		t.Fatal(err)
	}
	if _, err := env.manager.RotateSecret(t.Context(), "acme", "web", time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := env.verifier.VerifyClient(t.Context(), "web", secret, time.Now()); err != nil {
		t.Error(err)
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
			rec, err := env.manager.ImportDigest(t.Context(), "acme", "vck_test_REPLACE_ME", tt.digest, keys.Spec{Environment: "live"}) // the ID counts
			if err != nil {
				t.Fatal(err)
			}
			for _, wrong := range []string{tt.secret + "x", tt.secret[1:], strings.ToUpper(tt.secret), "x"} {
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

// TestUnreadableDigest presents the old secret of a client whose new digest cannot be
// read. The secret cannot be compared with that, so the error is ErrCorrupt.
func TestUnreadableDigest(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	client := createClient(t, env, keys.Spec{})
	issued, err := env.manager.RotateSecret(t.Context(), "acme", client.Record.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	rec := issued.Record
	rec.Digest = mustDigest(t, "$hmac-sha256$v=1,k=lost$"+strings.Repeat("A", 43))
	if err := env.store.Update(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	if _, err := env.verifier.VerifyClient(t.Context(), rec.ID, client.Text.Reveal(), now()); !errors.Is(err, keys.ErrCorrupt) {
		t.Errorf("%v", err)
	}
}

// TestUpgradeOnce checks a key whose digest is outdated by way of a cache, twice: it is
// written once.
func TestUpgradeOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		text := env.create(keys.Spec{}).Text.Reveal()
		_, verifier := env.on(inUse(t, &quiet{Store: env.faults}, nil), &keys.Options{
			Format: partner, Peppers: []keys.Pepper{{Name: "p", Key: keys.NewSecret(strings.Repeat("p", 32))}},
		})
		for range 2 {
			if _, err := verifier.Verify(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
		if n := env.faults.Calls(storetest.Update); n != 1 {
			t.Errorf("%d writes", n)
		}
	})
}

// TestUpgradeForWhoHasGone has the client go before its digest is written: that is no
// failure.
func TestUpgradeForWhoHasGone(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	text := env.create(keys.Spec{}).Text.Reveal()
	var events []keys.Event
	_, verifier := env.over(&keys.Options{
		Format: partner, Peppers: []keys.Pepper{{Name: "p", Key: keys.NewSecret(strings.Repeat("p", 32))}},
		Hook: func(_ context.Context, e keys.Event) { events = append(events, e) },
	})
	ctx, cancel := context.WithCancel(t.Context())
	env.faults.Corrupt(storetest.Get, 1, func(*keys.Record) { cancel() })
	if _, err := verifier.Verify(ctx, text); err != nil || len(events) > 0 {
		t.Errorf("%v, events %+v", err, events)
	}
}

// TestRevokedAndExpired checks a key that was revoked, and whose time is over too.
func TestRevokedAndExpired(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	issued := env.create(keys.Spec{Lifetime: time.Hour})
	if err := env.manager.Revoke(t.Context(), "acme", keys.KindKey, issued.Record.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := env.verifier.VerifyAt(t.Context(), issued.Text.Reveal(), now().Add(2*time.Hour)); err != keys.ErrRevoked {
		t.Error(err)
	}
}
