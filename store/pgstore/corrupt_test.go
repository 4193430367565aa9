package pgstore_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
)

// TestCorruptRows changes rows behind the store's back. A row that no record
// can have fails closed, and leaves the others alone.
func TestCorruptRows(t *testing.T) {
	t.Parallel()
	name := schema(t)
	s := openIn(t, name, nil)
	for _, test := range []struct{ name, set string }{
		{"an empty digest", `digest = ''`},
		{"a plain secret", `digest = 'hunter2'`},
		{"a digest of an unknown version", `digest = replace(digest, 'v=1', 'v=2')`},
		{"a digest that was cut", `digest = left(digest, 40)`},
		{"a previous digest that was cut", `previous = left(digest, 40), previous_expires_at = 1`},
		{"an empty previous digest", `previous = '', previous_expires_at = 1`},
		{"no text of a previous digest", `previous = ''`},
		{"a previous digest without an end", `previous = digest`},
		{"an end of no previous digest", `previous_expires_at = 1`},
		{"an unknown kind", `kind = 'Token'`},
		{"no kind", `kind = ''`},
		{"another kind", `kind = 'key'`},
		{"no organization", `org = ''`},
		{"no parent", `parent = NULL`},
		{"a label that is too long", `label = repeat('x', 257)`},
		{"scopes with two spaces", `scopes = 'a:read  b:write'`},
		{"scopes in quotes", `scopes = '"a:read"'`},
		{"a negative limit", `rate_limit = -1`},
		{"a token with a lifetime", `token_lifetime = 1`},
		{"a negative lifetime", `token_lifetime = -1`},
		{"a lifetime that overflows to one that is none", `token_lifetime = 9223372036854775807 / 2 + 1`},
		{"a negative creation time", `created_at = -1`},
		{"a negative expiry", `expires_at = -1`},
		{"a negative revocation", `revoked_at = -1`},
		{"the last time of all", `expires_at = 9223372036854775807`},
		{"a time in nanoseconds", `expires_at = 1700000000000000000`},
		{"a version of 0", `version = 0`},
		{"the last version of all", `version = 9223372036854775807`},
		{"an environment", `environment = 'test'`},
		{"networks", `networks = '192.0.2.0/24'`},
		{"networks that are none", `networks = 'everywhere'`},
		{"networks with two spaces", `networks = '192.0.2.0/24  198.51.100.0/24'`},
		{"metadata", `metadata = '{}'`},
		{"a maker", `created_by = 'key'`},
		{"a predecessor", `replaces = 'key'`},
		{"a successor", `replaced_by = 'key'`},
		{"a pause", `disabled_at = 0`},
		{"no format", `format = 0`},
		{"the next format", `format = 2`},
		{"the last format of all", `format = 32767`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bad, good := record(keys.KindToken, "bad: "+test.name), record(keys.KindToken, "good: "+test.name)
			foreign := record(keys.KindToken, "foreign: "+test.name)
			bad.Org, good.Org, foreign.Org = test.name, test.name, "not "+test.name
			insert(t, s, bad, good, foreign)
			execute(t, shared.pool, `UPDATE `+name+`.records SET `+test.set+` WHERE id = $1`, bad.ID)

			rec, parent, err := s.Get(t.Context(), bad.ID)
			corrupt(t, "Get", err)
			same(t, "what Get returned", []keys.Record{rec, parent}, make([]keys.Record, 2))

			if strings.HasPrefix(test.set, "format") {
				corrupt(t, "Update", s.Update(t.Context(), bad))
			}
			stranger := bad
			stranger.Org = foreign.Org
			fails(t, "Update by another organization", s.Update(t.Context(), stranger), keys.ErrNotFound)

			same(t, "another record", get(t, s, good.ID), good)
			page, err := s.List(t.Context(), keys.Query{Org: foreign.Org, Kind: keys.KindToken, Limit: 10})
			same(t, "the list of another organization", page, []keys.Record{foreign})
			fails(t, "its error", err, nil)
			if !strings.HasPrefix(test.set, "kind") && !strings.HasPrefix(test.set, "org") {
				page, err = s.List(t.Context(), keys.Query{Org: bad.Org, Kind: keys.KindToken, Limit: 10})
				corrupt(t, "List", err)
				if page != nil {
					t.Errorf("List returned %v with its error", page)
				}
			}
			if err := s.Update(t.Context(), good); err != nil {
				t.Errorf("Update of another record: %v", err)
			}
		})
	}
}

// corrupt fails unless err says that stored data is corrupt, and nothing else
// that callers act on, and names the record alone.
func corrupt(t *testing.T, call string, err error) {
	t.Helper()
	if !errors.Is(err, keys.ErrCorrupt) {
		t.Fatalf("%s: %v, want %v", call, err, keys.ErrCorrupt)
	}
	for _, wrong := range []error{keys.ErrNotFound, keys.ErrInvalid, keys.ErrExists, keys.ErrConflict} {
		if errors.Is(err, wrong) {
			t.Errorf("%s: %v, which is %v too", call, err, wrong)
		}
	}
	text := err.Error()
	if strings.Count(text, "pgstore: ") != 1 || !strings.Contains(text, `"bad: `) || strings.Contains(text, "hunter2") || strings.Contains(text, "$sha256") {
		t.Errorf("%s: %q", call, text)
	}
}

// TestCorruptParent checks that a token whose client cannot be read admits
// nobody.
func TestCorruptParent(t *testing.T) {
	t.Parallel()
	name := schema(t)
	s := openIn(t, name, nil)
	m := manager(t, s)
	client := create(t, m, keys.Spec{Kind: keys.KindClient})
	token, err := m.IssueToken(t.Context(), client.Record, client.Record.Scopes, 3600e9)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Verifier().Verify(t.Context(), token.Text.Reveal()); err != nil {
		t.Fatal(err)
	}
	execute(t, shared.pool, `UPDATE `+name+`.records SET digest = '' WHERE id = $1`, client.Record.ID)
	_, err = m.Verifier().Verify(t.Context(), token.Text.Reveal())
	fails(t, "Verify", err, keys.ErrUnavailable)
	fails(t, "Verify", err, keys.ErrCorrupt)
}
