package keys_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
)

// down embeds a Memory, and so has its method Local, but is another store.
type down struct{ *store.Memory }

var errDown = errors.New("down")

func (down) Get(context.Context, string) (rec, parent keys.Record, err error) {
	return rec, parent, errDown
}

// A store that changes the answers of the one that it embeds is not passed by.
func TestEmbeddedLocalStore(t *testing.T) {
	t.Parallel()
	memory := new(store.Memory)
	manager, err := keys.NewManager(memory, nil)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := manager.Create(t.Context(), "acme", keys.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := manager.Verifier().Verify(t.Context(), issued.Text.Reveal()); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]keys.Store{"value": down{memory}, "pointer": &down{memory}} {
		verifier, err := keys.NewVerifier(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := verifier.Verify(t.Context(), issued.Text.Reveal()); !errors.Is(err, errDown) {
			t.Errorf("%s: error %v, want that of the outer store", name, err)
		}
	}
}

// TestLocalStore compares, over random records and times, what is said of a
// text by a verifier that reads records where they are with what one says that
// copies them.
func TestLocalStore(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	memory := new(store.Memory)
	opts := &keys.Options{Format: partner}
	local, err := keys.NewVerifier(memory, opts)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := keys.NewVerifier(struct{ keys.Store }{memory}, opts)
	if err != nil {
		t.Fatal(err)
	}
	formats := map[keys.Kind]*keys.Format{keys.KindKey: partner, keys.KindToken: token, keys.KindClient: client}
	draw := func(kind keys.Kind) keys.Credential {
		tok, err := formats[kind].New("")
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	moment := func() time.Time { return now().Add(time.Duration(rng.IntN(9)-4) * time.Second) }
	maybe := func() time.Time {
		if rng.IntN(3) == 0 {
			return moment()
		}
		return time.Time{}
	}
	clients := []string{"cc_0000000000000000"} // of which there is no record
	outcomes := make(map[string]int)
	for i := range 3000 {
		kind := []keys.Kind{keys.KindKey, keys.KindToken, keys.KindClient}[i%3]
		tok, old := draw(kind), draw(kind)
		rec := keys.Record{
			ID: tok.ID, Kind: kind, Org: "acme", Scopes: scopes.MustParse("a b c"), RateLimit: 1 + rng.IntN(600),
			Digest: digestOf(t, kind, tok.Secret), CreatedAt: now(), ExpiresAt: maybe(), RevokedAt: maybe(), Version: 1,
		}
		switch kind {
		case keys.KindToken:
			rec.Parent, rec.Scopes = clients[rng.IntN(len(clients))], scopes.MustParse("b c d")
		case keys.KindClient:
			rec.PreviousExpiresAt = maybe()
			if !rec.PreviousExpiresAt.IsZero() {
				rec.Previous = digestOf(t, kind, old.Secret)
			}
			clients = append(clients, rec.ID)
		}
		if rng.IntN(8) > 0 {
			if err := memory.Insert(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
		}
		secret := tok.Secret
		if rng.IntN(4) == 0 {
			secret = old.Secret
		}
		at := moment()
		var got, want any
		var gotErr, wantErr error
		if kind == keys.KindClient {
			got, gotErr = local.VerifyClient(t.Context(), tok.ID, secret.Reveal(), at)
			want, wantErr = plain.VerifyClient(t.Context(), tok.ID, secret.Reveal(), at)
		} else {
			text := formats[kind].Text(keys.Credential{ID: tok.ID, Secret: secret}).Reveal()
			got, gotErr = local.VerifyAt(t.Context(), text, at)
			want, wantErr = plain.VerifyAt(t.Context(), text, at)
		}
		if got != want || gotErr != wantErr {
			t.Fatalf("%s\n got %+v, %v\nwant %+v, %v", rec, got, gotErr, want, wantErr)
		}
		outcome := string(kind)
		if gotErr != nil {
			outcome += " " + gotErr.Error()
		}
		outcomes[outcome]++
	}
	if len(outcomes) != 15 {
		t.Errorf("%d outcomes: %v", len(outcomes), outcomes)
	}
}
