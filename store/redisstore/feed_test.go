package redisstore_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/store/redisstore"
)

// whole returns a store of which it is long known that no announcement was lost.
func whole(t testing.TB, c redis.UniversalClient, s *redisstore.Store, prefix string) *redisstore.Store {
	t.Helper()
	_, err := s.LongestLease(t.Context())
	must(t, err)
	must(t, c.HSet(t.Context(), redisstore.WholeKey(prefix), "since", 0).Err())
	return s
}
