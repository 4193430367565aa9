package pgstore_test

import (
	"testing"

	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/pgstore"
	"github.com/claviger-auth/claviger/store/storetest"
)

// TestStore runs the whole kit; see TestPooler for other modes.
func TestStore(t *testing.T) {
	t.Parallel()
	dsn(t)
	judge(t, shared.pool, nil)
}

// judge runs the whole kit on one schema, which is emptied for each clause.
func judge(t *testing.T, db pgstore.DB, opts *pgstore.Options) {
	name := schema(t)
	s := openOn(t, db, name, opts)
	storetest.Test(t, func(t testing.TB) store.Store {
		execute(t, shared.pool, `DELETE FROM `+name+`.records; DELETE FROM `+name+`.uses; DELETE FROM `+name+`.buckets`)
		return s
	}, &storetest.Options[store.Store]{
		Second: func(t testing.TB, _ store.Store) store.Store { return s.With(connect(t)) },
	})
}
