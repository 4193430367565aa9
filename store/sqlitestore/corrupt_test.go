package sqlitestore_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/sqlitestore"
)

// TestCorruptRows writes values into rows that no store would.
func TestCorruptRows(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, set string }{
		{"no digest", "digest = ''"},
		{"a digest of no known form", "digest = '$sha256$v=2$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE'"},
		{"a digest that is cut off", "digest = substr(digest, 1, 20)"},
		{"a second digest of no known form", "previous_digest = 'x', previous_expires_at = 1"},
		{"a second digest without an end", "previous_digest = digest"},
		{"the end of no second digest", "previous_expires_at = 1"},
		{"no kind", "kind = ''"},
		{"an unknown kind", "kind = 'KEY'"},
		{"a kind that needs a parent", "kind = 'token'"},
		{"a parent that the kind cannot have", "parent = 'client'"},
		{"no organization", "org = ''"},
		{"a scope that is none", `scopes = 'identity:read "'`},
		{"a limit above the highest", "rate_limit = 1000000001"},
		{"a limit above the highest by 2^32", "rate_limit = 4294967896"},
		{"a negative limit", "rate_limit = -1"},
		{"a negative token lifetime", "token_lifetime = -1"},
		{"a token lifetime beyond all durations", "token_lifetime = 9223372036854775807"},
		{"a token lifetime that overflows to none", "token_lifetime = 1 << 58"}, // a multiple of 2^64 nanoseconds
		{"a token lifetime of a key", "token_lifetime = 1"},
		{"a negative creation time", "created_at = -1"},
		{"a negative expiry", "expires_at = -1"},
		{"a negative revocation", "revoked_at = -1"},
		{"a time beyond the year 9999", "expires_at = 253402300800000"},
		{"a time beyond all times", "expires_at = 9223372036854775807"},
		{"no version", "version = 0"},
		{"a negative version", "version = -1"},
		{"a version that has no next one", "version = 9223372036854775807"},
		{"the format of a later version", "format = 2"},
		{"no format", "format = 0"},
		{"a network that is none", "networks = '10.0.0.0/33'"},
		{"networks that are joined otherwise", "networks = '10.0.0.0/8,192.168.0.0/16'"},
		{"an environment that is none", "environment = 'Live'"},
		{"NUL in the metadata", "metadata = char(0)"},
		{"a negative pause", "disabled_at = -1"},
		{"NUL in the label", "label = 'a' || char(0) || 'b'"},
		{"NUL in place of a field", "label = 'a' || char(0) || 'b', scopes = ''"},
		{"NUL in place of all fields after the label", `label = concat_ws(char(0), 'a', 'keys:manage', 600, 0, '', '', '', '', '', '', digest, '', '', 1, '', '', '', 1)`},
		{"a label that is not UTF-8", "label = CAST(x'61ff' AS TEXT)"},
		{"an organization that is not UTF-8", "org = CAST(x'61ff' AS TEXT)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := file(t)
			s := open(t, path)
			insert(t, s, record(t, keys.KindKey, "key_1"), record(t, keys.KindKey, "key_2"))
			db := database(t, hostDSN(path))
			execute(t, db, "UPDATE claviger_records SET "+test.set+" WHERE id = 'key_1'")
			if _, _, err := s.Get(t.Context(), "key_1"); !corruptAlone(err) {
				t.Errorf("Get: %v", err)
			}
			if _, _, err := s.Get(t.Context(), "key_0"); !errors.Is(err, keys.ErrNotFound) {
				t.Errorf("Get of the ID before, which nobody has: %v", err)
			}
			if _, _, err := s.Get(t.Context(), "key_2"); err != nil {
				t.Errorf("Get of another: %v", err)
			}
			page, err := s.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 10})
			moved := strings.HasPrefix(test.set, "kind") || strings.HasPrefix(test.set, "org")
			if !moved && (!corruptAlone(err) || !strings.Contains(err.Error(), "key_1") || page != nil) {
				t.Errorf("List: %d records, %v", len(page), err)
			}
			if moved && (err != nil || len(page) != 1) {
				t.Errorf("List without it: %d records, %v", len(page), err)
			}
		})
	}
}

// corruptAlone reports whether err says that stored data is corrupt, and
// nothing for which a caller could be blamed.
func corruptAlone(err error) bool {
	for _, other := range []error{keys.ErrInvalid, keys.ErrNotFound, keys.ErrExists, keys.ErrConflict} {
		if errors.Is(err, other) {
			return false
		}
	}
	return errors.Is(err, keys.ErrCorrupt)
}

// TestCorruptParent fails a token that cannot be read, and one whose client cannot:
// nobody knows whether it was revoked.
func TestCorruptParent(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := open(t, path)
	client, token := record(t, keys.KindClient, "client"), record(t, keys.KindToken, "token")
	token.Parent = client.ID
	insert(t, s, client, token)
	db := database(t, hostDSN(path))
	for _, id := range []string{token.ID, client.ID} {
		execute(t, db, "UPDATE claviger_records SET label = char(0) WHERE id = ?", id)
		if r, _, err := s.Get(t.Context(), token.ID); !corruptAlone(err) || r.ID != "" {
			t.Errorf("Get, when %s is corrupt: %v, %v", id, r, err)
		}
		execute(t, db, "UPDATE claviger_records SET label = '' WHERE id = ?", id)
	}
}

// TestStrictColumns holds the tables to the types of their columns, and the trail to
// its positions.
func TestStrictColumns(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := open(t, path)
	insert(t, s, record(t, keys.KindKey, "key_1"))
	db := database(t, hostDSN(path))
	entry := "INSERT INTO claviger_trail VALUES ('acme', %d, 0, '', '', '', 0, '', '', '', '', '', 0, x'', x'')"
	execute(t, db, fmt.Sprintf(entry, 1))
	for _, text := range []string{
		"UPDATE claviger_records SET expires_at = 'soon'", "UPDATE claviger_records SET expires_at = 1.5",
		"UPDATE claviger_records SET created_at = NULL", "UPDATE claviger_records SET version = NULL",
		"UPDATE claviger_records SET digest = NULL", "UPDATE claviger_records SET id = NULL",
		"UPDATE claviger_records SET label = x'00'", fmt.Sprintf(entry, 0),
	} {
		if _, err := db.ExecContext(t.Context(), text); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}

// TestDamagedPages wipes pages of the file, behind those of the schema. Keys in them are
// neither accepted nor said to be unknown; those in other pages stay good.
func TestDamagedPages(t *testing.T) {
	t.Parallel()
	const count, pageSize = 300, 4096
	path := file(t)
	s, err := sqlitestore.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	manager, err := keys.NewManager(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for i := range count {
		issued, err := manager.Create(t.Context(), fmt.Sprintf("org_%d", i), keys.Spec{Label: strings.Repeat("x", 100)})
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, issued.Text.Reveal())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	good, bad := 0, 0
	for page := 30; page < len(whole)/pageSize; page += 3 {
		damaged := append([]byte(nil), whole...)
		clear(damaged[page*pageSize : (page+1)*pageSize])
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := sqlitestore.Open(path, nil)
		if err != nil {
			t.Fatalf("page %d: %v", page, err)
		}
		verifier, err := keys.NewVerifier(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range texts {
			switch _, err := verifier.Verify(t.Context(), text); {
			case err == nil:
				good++
			case errors.Is(err, keys.ErrUnavailable):
				bad++
			default:
				t.Fatalf("page %d: %v", page, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if good == 0 || bad == 0 {
		t.Errorf("%d checks went well and %d did not; want some of both", good, bad)
	}
}
