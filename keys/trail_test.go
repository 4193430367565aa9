package keys_test

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
	"github.com/google/go-cmp/cmp"
)

// newTrail returns a manager with a trail in a store.
func newTrail(t *testing.T, s keys.Store) *keys.Manager {
	t.Helper()
	m, err := keys.NewManager(s, &keys.Options{Format: partner, Catalog: catalog, Trail: true})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// trailOf returns the trail of an organization, an entry in each line, without
// times and hashes, and with names in the place of IDs.
func trailOf(t *testing.T, m *keys.Manager, org string, names map[string]string) (lines []string) {
	t.Helper()
	var pairs []string
	for id, name := range names {
		pairs = append(pairs, id, name)
	}
	named := strings.NewReplacer(pairs...)
	for e, err := range m.Entries(t.Context(), org, "", 0) {
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%s %s %s by %q", e.Kind, e.ID, e.Action, e.Actor)
		if e.Version > 1 {
			line += fmt.Sprint(" version ", e.Version)
		}
		if e.Fields != "" {
			line += " (" + e.Fields + ")"
		}
		if e.Other != "" {
			line += " other " + e.Other
		}
		if e.Address.IsValid() {
			line += " from " + e.Address.String()
		}
		if e.Reason != "" {
			line += " " + e.Reason
		}
		if e.Count > 0 {
			line += fmt.Sprint(" ", e.Count, " times")
		}
		lines = append(lines, named.Replace(line))
	}
	return lines
}

// Each change has an entry that says who made it and from where. Calls that change
// nothing have no entry, and tokens have none.
func TestTrail(t *testing.T) {
	t.Parallel()
	m := newTrail(t, new(store.Memory))
	names := make(map[string]string)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	host := t.Context()
	admin, err := m.Create(host, "acme", keys.Spec{Scopes: []string{"keys:manage", "webhooks:manage"}, CreatedBy: "host:bootstrap"})
	must(err)
	names[admin.Record.ID] = "ADMIN"
	caller, err := m.Verifier().Verify(host, admin.Text.Reveal())
	must(err)
	actor := m.As(caller)
	request := keys.NewAddressContext(host, netip.MustParseAddr("::ffff:192.0.2.7"))

	made, err := actor.Create(request, keys.Spec{Scopes: []string{"webhooks:manage"}})
	must(err)
	names[made.Record.ID] = "KEY"
	id := made.Record.ID
	label, scopes, yes, no := "new", []string{}, true, false
	_, err = actor.Change(request, keys.KindKey, id, keys.Change{Label: &label, Scopes: &scopes})
	must(err)
	_, err = actor.Change(request, keys.KindKey, id, keys.Change{}) // of nothing
	must(err)
	_, err = actor.Change(request, keys.KindKey, id, keys.Change{Disabled: &yes})
	must(err)
	_, err = actor.Change(request, keys.KindKey, id, keys.Change{Disabled: &no, Label: new(string)})
	must(err)
	next, err := actor.Rotate(request, id, keys.Rotation{Overlap: time.Hour})
	must(err)
	names[next.Record.ID] = "NEXT"
	must(actor.Revoke(request, keys.KindKey, id))
	must(actor.Revoke(request, keys.KindKey, id)) // again

	// The host's own calls, with a session in the context and without.
	session := keys.NewContext(host, keys.Principal{Org: "acme", ID: "cli:anna"})
	client, err := m.Create(session, "acme", keys.Spec{Kind: keys.KindClient, Scopes: []string{"webhooks:manage"}})
	must(err)
	names[client.Record.ID] = "CLIENT"
	_, err = m.IssueToken(session, client.Record, client.Record.Scopes, time.Hour)
	must(err)
	_, err = m.RotateSecret(session, "acme", client.Record.ID, time.Hour)
	must(err)
	_, err = m.Rotate(host, "acme", next.Record.ID, keys.Rotation{CreatedBy: "job:yearly"})
	must(err)
	if _, err := m.Rotate(host, "globex", next.Record.ID, keys.Rotation{}); !errors.Is(err, keys.ErrNotFound) {
		t.Fatal(err)
	}
	for rec, err := range m.List(host, keys.Query{Org: "acme", Kind: keys.KindKey}) {
		must(err)
		if names[rec.ID] == "" {
			names[rec.ID] = "LAST"
		}
	}
	_, err = m.RevokeDescendants(host, "acme", keys.KindKey, admin.Record.ID)
	must(err)
	_, err = m.RevokeAll(session, "acme")
	must(err)

	got := trailOf(t, m, "acme", names)
	want := []string{
		`key ADMIN created by "host:bootstrap"`,
		`key KEY created by "ADMIN" from 192.0.2.7`,
		`key KEY changed by "ADMIN" version 2 (label scopes) from 192.0.2.7`,
		`key KEY paused by "ADMIN" version 3 (disabled_at) from 192.0.2.7`,
		`key KEY resumed by "ADMIN" version 4 (label disabled_at) from 192.0.2.7`,
		`key NEXT created by "ADMIN" other KEY from 192.0.2.7`,
		`key KEY rotated by "ADMIN" version 5 (replaced_by expires_at) other NEXT from 192.0.2.7`,
		`key KEY revoked by "ADMIN" version 6 (revoked_at) from 192.0.2.7`,
		`client CLIENT created by "cli:anna"`,
		`client CLIENT rotated by "cli:anna" version 2 (digest previous)`,
		`key LAST created by "job:yearly" other NEXT`,
		`key NEXT rotated by "job:yearly" version 2 (replaced_by expires_at) other LAST`,
		`key ADMIN revoked by "" version 2 (revoked_at)`,
		`key NEXT revoked by "" version 3 (revoked_at)`,
		`key LAST revoked by "cli:anna" version 2 (revoked_at)`,
		`client CLIENT revoked by "cli:anna" version 3 (revoked_at)`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
	ends, err := m.VerifyTrail(host, "acme")
	if err != nil || len(ends) != 1 || ends[0].Seq != int64(len(want)) {
		t.Errorf("VerifyTrail gave %v, %v", ends, err)
	}
	if got := trailOf(t, m, "globex", nil); got != nil {
		t.Errorf("the trail of another organization: %q", got)
	}
}

// An entry has the time of its change, and not that of the record.
func TestTrailTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newTrail(t, new(store.Memory))
		began := time.Now()
		key, err := m.Create(t.Context(), "acme", keys.Spec{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // on the test's own clock
		if err := m.Revoke(t.Context(), "acme", "", key.Record.ID); err != nil {
			t.Fatal(err)
		}
		want := began
		for e, err := range m.Entries(t.Context(), "acme", "", 0) {
			if err != nil || !e.Time.Equal(want) {
				t.Errorf("%s at %v, %v", e.Action, e.Time, err)
			}
			want = want.Add(time.Hour)
		}
	})
}

// A digest that is replaced when its secret is used has an entry too.
func TestTrailUpgrade(t *testing.T) {
	t.Parallel()
	s := new(store.Memory)
	issued, err := newTrail(t, s).Create(t.Context(), "acme", keys.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	v, err := keys.NewVerifier(s, &keys.Options{
		Format: partner, Trail: true, Peppers: []keys.Pepper{{Name: "p", Key: keys.NewSecret(strings.Repeat("k", 32))}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(t.Context(), issued.Text.Reveal()); err != nil {
		t.Fatal(err)
	}
	want := []string{`key KEY created by ""`, `key KEY changed by "claviger:upgrade" version 2 (digest)`}
	got := trailOf(t, newTrail(t, s), "acme", map[string]string{issued.Record.ID: "KEY"})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
}

// Without the option there is no entry; a store that can keep none is refused.
func TestTrailOption(t *testing.T) {
	t.Parallel()
	s := new(store.Memory)
	m, err := keys.NewManager(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Create(t.Context(), "acme", keys.Spec{}); err != nil {
		t.Fatal(err)
	}
	if got := trailOf(t, m, "acme", nil); got != nil {
		t.Errorf("trail that nobody wanted: %q", got)
	}
	if m.KeepsTrail() || !newTrail(t, s).KeepsTrail() {
		t.Error("KeepsTrail is not what the option says")
	}
	plain := struct{ keys.Store }{s}
	for name, err := range map[string]error{
		"NewManager":  errOf(keys.NewManager(plain, &keys.Options{Trail: true})),
		"NewVerifier": errOf(keys.NewVerifier(plain, &keys.Options{Trail: true})),
		"NewRefusals": errOf(keys.NewRefusals(plain, nil)),
	} {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s over a store without a trail: %v", name, err)
		}
	}
	bare, err := keys.NewManager(plain, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, chains := bare.Chains(t.Context(), "acme")
	_, verified := bare.VerifyTrail(t.Context(), "acme")
	cut := bare.CutTrail(t.Context(), keys.Checkpoint{Org: "acme"})
	var read error
	for _, read = range bare.Entries(t.Context(), "acme", "", 0) {
	}
	for name, err := range map[string]error{"Chains": chains, "VerifyTrail": verified, "CutTrail": cut, "Entries": read} {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s over a store without a trail: %v", name, err)
		}
	}
}

func errOf[T any](_ T, err error) error { return err }

// Every field that an update can change has a name in Fields, and no other field
// has.
func TestTrailFields(t *testing.T) {
	t.Parallel()
	names := map[string]string{
		"Label": "label", "Scopes": "scopes", "RateLimit": "rate_limit", "TokenLifetime": "token_lifetime", "Networks": "networks",
		"Metadata": "metadata", "ReplacedBy": "replaced_by", "Digest": "digest", "Previous": "previous", "PreviousExpiresAt": "previous",
		"ExpiresAt": "expires_at", "RevokedAt": "revoked_at", "DisabledAt": "disabled_at",
	}
	var old keys.Record
	rec := fullRecord(t, keys.KindKey)
	rec.TokenLifetime = time.Hour
	for i := range reflect.TypeFor[keys.Record]().NumField() {
		name := reflect.TypeFor[keys.Record]().Field(i).Name
		next := old
		reflect.ValueOf(&next).Elem().Field(i).Set(reflect.ValueOf(rec).Field(i))
		if got := keys.ChangedFields(&old, &next); got != names[name] {
			t.Errorf("%s was changed: fields %q, want %q", name, got, names[name])
		}
	}
}

// TestTokensLeaveNoTrail makes a token and revokes it.
func TestTokensLeaveNoTrail(t *testing.T) {
	t.Parallel()
	m := newTrail(t, new(store.Memory))
	client, err := m.Create(t.Context(), "acme", keys.Spec{Kind: keys.KindClient})
	if err != nil {
		t.Fatal(err)
	}
	token, err := m.IssueToken(t.Context(), client.Record, client.Record.Scopes, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Revoke(t.Context(), "acme", keys.KindToken, token.Record.ID); err != nil {
		t.Fatal(err)
	}
	if lines := trailOf(t, m, "acme", nil); len(lines) != 1 {
		t.Errorf("trail %q", lines)
	}
}

// TestEntryForAnotherRecord asks a context with the entry of one record for the entry of
// others: there is none.
func TestEntryForAnotherRecord(t *testing.T) {
	t.Parallel()
	ctx := keys.NewEntryContext(t.Context(), keys.Entry{Org: "acme", ID: "key_1"})
	for rec, want := range map[*keys.Record]bool{
		{Org: "acme", ID: "key_1"}: true, {Org: "acme", ID: "key_2"}: false, {Org: "globex", ID: "key_1"}: false,
	} {
		if _, ok := keys.EntryFor(ctx, rec); ok != want {
			t.Errorf("%+v: %v", rec, ok)
		}
	}
	linked := keys.NewAddressContext(ctx, netip.MustParseAddr("fe80::1%eth0"))
	if addr := keys.AddressFromContext(linked); addr != netip.MustParseAddr("fe80::1") {
		t.Errorf("address %v", addr)
	}
}
