package redisstore_test

import (
	"testing"

	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Test(t, func(t testing.TB) store.Store {
		s, _, _ := fresh(t)
		return s
	}, nil)
}
