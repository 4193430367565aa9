package redisstore_test

import (
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/redisstore"
	"github.com/claviger-auth/claviger/store/storetest"
)

// A judged is a store for the kit, which can look at its data in another way and
// stop its server.
type judged struct {
	*redisstore.Store
	second func(t testing.TB) redis.UniversalClient
	prefix string
	server *proxy // nil if it cannot be stopped
}

// another returns another store on the data of one.
func another[S any](t testing.TB, s S) S {
	j := any(s).(judged)
	return any(open(t, j.second(t), redisstore.Options{Prefix: j.prefix, Timeout: 10 * time.Second})).(S)
}

// stop makes the server of a store answer nothing.
func stop(_ testing.TB, s store.Store) (mend func()) {
	p := s.(judged).server
	p.stall()
	return sync.OnceFunc(p.heal)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	opts := &storetest.Options[store.Store]{Second: another[store.Store], Break: stop, Race: race()}
	storetest.Test(t, func(t testing.TB) store.Store {
		t.(*testing.T).Parallel()
		p, name := through(t, "unix", server(t).Socket), prefix()
		c := connect(t, p.addr)
		return judged{
			Store:  whole(t, c, open(t, c, redisstore.Options{Prefix: name, Timeout: 10 * time.Second}), name),
			second: func(t testing.TB) redis.UniversalClient { return connect(t, server(t).Socket) },
			prefix: name, server: p,
		}
	}, opts)
}
