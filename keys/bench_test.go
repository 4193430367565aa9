package keys_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
)

// BenchmarkVerify checks credentials over a Memory, without a hook.
func BenchmarkVerify(b *testing.B) {
	ctx := context.Background()
	manager, err := keys.NewManager(new(store.Memory), &keys.Options{Format: partner})
	if err != nil {
		b.Fatal(err)
	}
	peppered, err := keys.NewManager(new(store.Memory), &keys.Options{
		Format: partner, Peppers: []keys.Pepper{{Name: "p", Key: keys.NewSecret(strings.Repeat("p", 32))}},
	})
	if err != nil {
		b.Fatal(err)
	}
	create := func(m *keys.Manager, spec keys.Spec) keys.Issued {
		issued, err := m.Create(ctx, "acme", spec)
		if err != nil {
			b.Fatal(err)
		}
		return issued
	}
	good := create(manager, keys.Spec{})
	text := good.Text.Reveal()
	revoked := create(manager, keys.Spec{})
	if err := manager.Revoke(ctx, "acme", "", revoked.Record.ID); err != nil {
		b.Fatal(err)
	}
	clientID := create(manager, keys.Spec{Kind: keys.KindClient}).Record.ID
	client, err := manager.Get(ctx, "acme", "", clientID)
	if err != nil {
		b.Fatal(err)
	}
	issued, err := manager.IssueToken(ctx, client, client.Scopes, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	unknown, err := partner.New("")
	if err != nil {
		b.Fatal(err)
	}
	random := unknown.Secret.Reveal()[:43]
	wrong := good.Record.ID + "." + random
	for _, bb := range []struct {
		name    string
		manager *keys.Manager
		text    string
		want    error
	}{
		{"accepted=key", manager, text, nil},
		{"accepted=token", manager, issued.Text.Reveal(), nil},
		{"accepted=peppered_key", peppered, create(peppered, keys.Spec{}).Text.Reveal(), nil},
		{"refused=malformed", manager, text[:len(text)-1] + "~", keys.ErrMalformed},
		{"refused=unknown", manager, partner.Text(unknown).Reveal(), keys.ErrUnknown},
		{"refused=wrong_secret", manager, wrong + checksumOf(wrong), keys.ErrMismatch},
		{"refused=revoked", manager, revoked.Text.Reveal(), keys.ErrRevoked},
	} {
		b.Run(bb.name, func(b *testing.B) {
			verifier := bb.manager.Verifier()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := verifier.Verify(ctx, bb.text); err != bb.want {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	for name, f := range map[string]*keys.Format{"dotted": partner, "fixed": token} {
		b.Run("layout="+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f.New(""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkValidate(b *testing.B) {
	r := goodRecord(b, keys.KindToken)
	r.ID, r.Parent, r.ExpiresAt = "oauth_0123456789abcdef01234567", "cc_0123456789abcdef", r.CreatedAt.Add(time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Validate(); err != nil {
			b.Fatal(err)
		}
	}
}

// noStore keeps nothing, so that what is measured is the work of the manager.
type noStore struct{ keys.Store }

func (noStore) Insert(context.Context, keys.Record) error { return nil }

func BenchmarkIssueToken(b *testing.B) {
	m, err := keys.NewManager(noStore{}, nil)
	if err != nil {
		b.Fatal(err)
	}
	client := goodRecord(b, keys.KindClient)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.IssueToken(b.Context(), client, client.Scopes, time.Hour); err != nil {
			b.Fatal(err)
		}
	}
}
