package sqlitestore_test

import (
	"bytes"
	"crypto/sha256"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store/sqlitestore"
)

// TestNoSecretIsStored issues secrets in all ways there are and searches every
// byte of the files for them.
func TestNoSecretIsStored(t *testing.T) {
	t.Parallel()
	path := file(t)
	s, err := sqlitestore.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	pepper := keys.NewSecret("0123456789abcdef0123456789abcdef")
	format := keys.MustFormat("key_", keys.Dotted, &keys.FormatOptions{AllowForeign: true})
	secrets := []string{pepper.Reveal()}
	for _, opts := range []*keys.Options{nil, {Format: format, Peppers: []keys.Pepper{{Name: "p1", Key: pepper}}}} {
		secrets = append(secrets, issueAll(t, s, opts)...)
	}
	wal, err := os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	// The database itself is read when it is closed: whoever closes a file drops
	// all locks of the process on it.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	main, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(wal, []byte("$sha256$")) || !bytes.Contains(main, []byte("$hmac-sha256$")) {
		t.Fatal("the files do not hold even the digests; the search would prove nothing")
	}
	for _, secret := range secrets {
		_, half, _ := strings.Cut(secret, ".")
		end := secret[max(0, len(secret)-32):] // of the secret half, whatever the format
		for _, part := range []string{secret, half, end} {
			sum := sha256.Sum256([]byte(part)) // without a tag for its kind, as others would make it
			for _, search := range [][]byte{[]byte(part), sum[:]} {
				if part != "" && (bytes.Contains(wal, search) || bytes.Contains(main, search)) {
					t.Errorf("a secret is stored: %q", part)
				}
			}
		}
	}
}

// issueAll returns the secrets of keys, clients and tokens that were made,
// rotated and used.
func issueAll(t *testing.T, s *sqlitestore.Store, opts *keys.Options) (secrets []string) {
	t.Helper()
	manager, err := keys.NewManager(s, opts)
	if err != nil {
		t.Fatal(err)
	}
	add := func(issued keys.Issued, err error) keys.Record {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, issued.Text.Reveal())
		return issued.Record
	}
	key := add(manager.Create(t.Context(), "acme", keys.Spec{Label: "a"}))
	add(manager.Rotate(t.Context(), "acme", key.ID, keys.Rotation{Overlap: keys.Forever}))
	add(manager.Rotate(t.Context(), "acme", key.ID, keys.Rotation{}))
	client := add(manager.Create(t.Context(), "acme", keys.Spec{Kind: keys.KindClient}))
	add(manager.RotateSecret(t.Context(), "acme", client.ID, time.Hour))
	add(manager.RotateSecret(t.Context(), "acme", client.ID, 0))
	add(manager.IssueToken(t.Context(), client, scopes.Set{}, time.Hour))
	if opts != nil {
		for _, text := range []string{"key_abcdefghij.short-secret", "key_klmnopqrst.a-secret-that-is-longer-than-32-characters"} {
			if _, err := manager.Import(t.Context(), "acme", keys.NewSecret(text), keys.Spec{}); err != nil {
				t.Fatal(err)
			}
			secrets = append(secrets, text)
		}
	}
	for _, text := range secrets {
		_, _ = manager.Verifier().Verify(t.Context(), text) // clients' are no credentials by themselves
	}
	return secrets
}
