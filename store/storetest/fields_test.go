package storetest_test

import (
	"reflect"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys"
)

// Every field of a record is looked at, those included that are new: a store
// that forgets one of them, in Get, in List or in Update, is reported. A field
// that the fixtures do not set, or that no check changes, fails here.
func TestEveryField(t *testing.T) {
	t.Parallel()
	kept := []string{"ID", "Kind", "Org", "Parent", "Environment", "CreatedBy", "Replaces", "CreatedAt", "Version"} // by Update, or by other clauses
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
			if tt.name == "Update" && slices.Contains(kept, field.Name) {
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
					violations := checkRecords(t, tt.store)
					if diff := cmp.Diff([]string{want}, names(violations)); diff != "" {
						t.Errorf("clauses reported (-want +got):\n%s", diff)
					}
				})
			})
		}
	}
}
