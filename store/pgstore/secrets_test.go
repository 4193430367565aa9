package pgstore_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
)

// TestNoSecretIsStored makes credentials, uses, rotates and revokes them, and
// searches all that the server has on disk for their secrets: tables, indexes,
// the write-ahead log, and a log of every statement with its arguments.
func TestNoSecretIsStored(t *testing.T) {
	t.Parallel()
	server := start(t, "log_statement=all", "log_min_duration_statement=0", "log_error_verbosity=verbose", "full_page_writes=on")
	s := openOn(t, connectTo(t, server.DSN), "claviger", nil)
	m := manager(t, s)
	var secrets, ids []string
	keep := func(issued keys.Issued) keys.Issued {
		secret := strings.TrimPrefix(issued.Text.Reveal(), issued.Record.ID)
		secrets = append(secrets, strings.TrimPrefix(secret, "."))
		ids = append(ids, issued.Record.ID)
		return issued
	}
	for range 5 {
		key := keep(create(t, m, keys.Spec{Label: "a label to be found", Scopes: []string{"a:read"}}))
		client := keep(create(t, m, keys.Spec{Kind: keys.KindClient}))
		token, err := m.IssueToken(t.Context(), client.Record, client.Record.Scopes, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		keep(token)
		wrong := key.Text.Reveal()
		_, _ = m.Verifier().Verify(t.Context(), wrong[:len(wrong)-1]+"!")
		for _, issued := range []keys.Issued{key, token} {
			if _, err := m.Verifier().Verify(t.Context(), issued.Text.Reveal()); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := m.Verifier().VerifyClient(t.Context(), client.Record.ID, client.Text.Reveal(), time.Now()); err != nil {
			t.Fatal(err)
		}
		take(t, s, bucket("acme"), ratelimit.MustPerMinute(600), 1)
		noteUses(t, s, uses(key.Record.ID))
		if err := m.Revoke(t.Context(), "acme", keys.KindKey, key.Record.ID); err != nil {
			t.Fatal(err)
		}
	}
	server.Stop() // and have everything written out

	dump := everything(t, server.Dir)
	for _, known := range append(ids, "a label to be found", "$sha256$v=1$", "3:org:acme") {
		if !bytes.Contains(dump, []byte(known)) {
			t.Fatalf("the search does not find %q, which must be there", known)
		}
	}
	for _, secret := range secrets {
		if len(secret) < 40 {
			t.Fatalf("a secret of %d characters", len(secret))
		}
		if bytes.Contains(dump, []byte(secret[:20])) || bytes.Contains(dump, []byte(secret[20:40])) {
			t.Fatal("half a secret is on the server's disk")
		}
	}
}

// everything returns the contents of all files below dir.
func everything(t *testing.T, dir string) (all []byte) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		all = append(all, content...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
