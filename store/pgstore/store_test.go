package pgstore_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/pgstore"
	"github.com/claviger-auth/claviger/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		opts pgstore.Options
	}{
		{"default", pgstore.Options{}},
		{"exec", pgstore.Options{Mode: pgx.QueryExecModeExec, SyncTake: true}},
		{"simple", pgstore.Options{Mode: pgx.QueryExecModeSimpleProtocol}},
	} {
		t.Run("mode="+test.name, func(t *testing.T) {
			t.Parallel()
			storetest.Test(t, func(t testing.TB) store.Store { return open(t, &test.opts) })
		})
	}
}
