package storetest_test

import (
	"reflect"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/storetest"
)

// keptByUpdate are the fields that an Update does not change, or that other clauses are
// about.
var keptByUpdate = []string{"ID", "Kind", "Org", "Parent", "Environment", "CreatedBy", "Replaces", "CreatedAt", "Version"}

// A field that is new has to be in the fixtures: set, changed by an Update, and at
// its longest.
func TestFixtures(t *testing.T) {
	t.Parallel()
	full, changes, longest := storetest.Fixtures()
	for field := range reflect.TypeFor[keys.Record]().Fields() {
		of := func(r keys.Record) reflect.Value { return reflect.ValueOf(r).FieldByIndex(field.Index) }
		set := func(r keys.Record) bool { return !of(r).IsZero() }
		if field.Name != "RevokedAt" && !slices.ContainsFunc(full, set) {
			t.Errorf("no full record has %s", field.Name)
		}
		if !slices.ContainsFunc(longest, set) {
			t.Errorf("no longest record has %s", field.Name)
		}
		change := false
		for i := range full {
			change = change || !of(full[i]).Equal(of(changes[i]))
		}
		if change == slices.Contains(keptByUpdate, field.Name) && field.Name != "RevokedAt" {
			t.Errorf("%s: changed by an Update is %t", field.Name, change)
		}
	}
	for i := range longest {
		for _, r := range []keys.Record{full[i], changes[i], longest[i]} {
			if err := r.Validate(); err != nil {
				t.Errorf("%v: %v", r, err)
			}
		}
	}
	// The bounds are reached, so that a longer one is noticed.
	key := longest[0]
	for name, pair := range map[string][2]int{
		"ID": {len(key.ID), keys.MaxID}, "Org": {len(key.Org), keys.MaxOrg}, "Label": {len(key.Label), 4 * keys.MaxLabel},
		"Scopes": {len(key.Scopes.String()), keys.MaxScopes}, "Environment": {len(key.Environment), keys.MaxEnvironment},
		"Networks": {len(key.Networks.String()), keys.MaxNetworksText}, "Metadata": {len(key.Metadata), keys.MaxMetadata},
		"CreatedBy": {len(key.CreatedBy), keys.MaxID}, "Digest": {len(key.Digest.Text()), keys.MaxDigest},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s has %d bytes, want %d", name, pair[0], pair[1])
		}
	}
}

// Every field of a record is looked at, those included that are new: a store
// that forgets one of them, in Get, in List or in Update, is reported. A field
// that the fixtures do not set, or that no check changes, fails here.
func TestEveryField(t *testing.T) {
	t.Parallel()
	for field := range reflect.TypeFor[keys.Record]().Fields() {
		forget := func(r, was *keys.Record) {
			reflect.ValueOf(r).Elem().FieldByIndex(field.Index).Set(reflect.ValueOf(was).Elem().FieldByIndex(field.Index))
		}
		get := altered(func(r *keys.Record) { forget(r, new(keys.Record)) }).get
		list := paged(func(_ *broken, _ keys.Query, page []keys.Record) ([]keys.Record, error) {
			for i := range page {
				forget(&page[i], new(keys.Record))
			}
			return page, nil
		}).list
		update := written(func(was keys.Record, r *keys.Record) { forget(r, &was) }).update
		tests := []struct {
			name, clause, revocation string
			store                    func() *broken
		}{
			{"Get", "insert-get-round-trip", "dead-records-stay", func() *broken { return &broken{get: get} }},
			{"List", "list-returns-whole-records", "list-includes-dead", func() *broken { return &broken{list: list} }},
			{"Update", "update-writes-all-fields", "revocation-is-written", func() *broken { return &broken{update: update} }},
		}
		for _, tt := range tests {
			if tt.name == "Update" && slices.Contains(keptByUpdate, field.Name) {
				continue
			}
			if testing.Short() && field.Index[0]%5 != 0 {
				continue
			}
			t.Run(field.Name+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				want := tt.clause
				if field.Name == "RevokedAt" {
					want = tt.revocation
				}
				synctest.Test(t, func(t *testing.T) {
					violations := checkRecords(t, judgedBy(field.Index[0], want), tt.store)
					if diff := cmp.Diff([]string{want}, names(violations)); diff != "" {
						t.Errorf("clauses reported (-want +got):\n%s", diff)
					}
				})
			})
		}
	}
}
