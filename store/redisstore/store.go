package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
)

const (
	// DefaultPrefix is the prefix of all keys if [Options.Prefix] is empty.
	DefaultPrefix = "claviger"
	// DefaultTimeout bounds each call if [Options.Timeout] is zero.
	DefaultTimeout = time.Second
)

// Options are the optional settings of a [Store]. A nil *Options is the same as
// the zero Options.
type Options struct {
	// Prefix begins all keys of the store. Stores with different prefixes
	// share a server without seeing each other. It is up to 64 letters, digits,
	// '_', '-' and '.'. If empty, DefaultPrefix.
	Prefix string

	// Timeout bounds each round trip, with all that the client does for it:
	// waiting for a connection, making one, trying a read again. Contexts that
	// end sooner bound it further. If zero, DefaultTimeout.
	Timeout time.Duration

	// Replicas is the number of replicas that must have an Insert or an Update
	// before it returns nil. With fewer, the call fails with [ErrReplicas]
	// when its time is over. If zero, the primary alone is asked, and a
	// failover can lose what it acknowledged last.
	Replicas int
}

// A Store keeps records and buckets in Redis. It is made by [New], is safe for
// concurrent use, and starts no goroutine.
type Store struct {
	client   redis.UniversalClient
	together bool // all keys are on one node
	names    names
	timeout  time.Duration
	replicas int
	ends     *ends
}

var (
	_ store.Store     = (*Store)(nil)
	_ keys.UseStore   = (*Store)(nil)
	_ keys.CountStore = (*Store)(nil)
	_ keys.OrgStore   = (*Store)(nil)
	_ keys.Feed       = (*Store)(nil)
)

// New returns a Store over a client, which stays the caller's to close. It
// connects to nothing: a server that is down at the start is a server that is
// down. [Store.Check] asks the server whether it keeps what it is given.
//
// New fails if an option is out of range, or if the client is one of package
// redis whose settings break the contract of a store:
//
//   - ContextTimeoutEnabled must be set. Without it a call goes on when its
//     context has ended, for as long as the server likes.
//   - Reads must go to primaries: no ReadOnly, RouteByLatency or RouteRandomly.
//     A replica does not know yet what was just revoked.
//   - There must be no client-side cache, for the same reason.
//   - A [redis.Ring] moves keys to other servers while one is down. Then
//     records are gone, and IDs are used twice.
//
// Clients of other types, such as wrappers, must keep these rules by
// themselves. They cannot be used with Options.Replicas.
func New(client redis.UniversalClient, opts *Options) (*Store, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	n, err := parseNames(o.Prefix)
	switch {
	case err != nil:
		return nil, err
	case o.Timeout < 0:
		return nil, fmt.Errorf("redisstore: negative timeout %v", o.Timeout)
	case o.Replicas < 0:
		return nil, fmt.Errorf("redisstore: %d replicas", o.Replicas)
	}
	if err := fit(client, o.Replicas); err != nil {
		return nil, err
	}
	_, together := client.(*redis.Client)
	return &Store{client, together, n, o.Timeout, o.Replicas, new(ends)}, nil
}

// fit says what is wrong with a client.
func fit(client redis.UniversalClient, replicas int) error {
	var bounded, cached, spread bool
	switch c := client.(type) {
	case nil:
		return errors.New("redisstore: nil client")
	case *redis.Client:
		if c == nil {
			return errors.New("redisstore: nil client")
		}
		o := c.Options()
		bounded, cached = o.ContextTimeoutEnabled, o.ClientSideCache != nil || o.ClientSideCacheConfig != nil
	case *redis.ClusterClient:
		if c == nil {
			return errors.New("redisstore: nil client")
		}
		o := c.Options()
		bounded, spread = o.ContextTimeoutEnabled, o.ReadOnly || o.RouteByLatency || o.RouteRandomly
	case *redis.Ring:
		return errors.New("redisstore: a ring moves keys to other servers while one is down")
	default:
		if replicas > 0 {
			return fmt.Errorf("redisstore: a client of type %T cannot wait for replicas", client)
		}
		return nil
	}
	switch {
	case !bounded:
		return errors.New("redisstore: the client's ContextTimeoutEnabled is not set")
	case cached:
		return errors.New("redisstore: the client has a cache, which would accept what is revoked")
	case spread:
		return errors.New("redisstore: the client reads from replicas, which would accept what is revoked")
	}
	return nil
}

// bound returns a context for one round trip. One that ends soon enough, as those
// of a [ratelimit.Limiter] do, is the same.
func (s *Store) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= s.timeout {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, s.timeout)
}

// failure returns an error of the client's as this package does. A key that
// holds something else than this package puts there is corrupt.
func failure(err error) error {
	switch {
	case err == nil:
		return nil
	case redis.IsReadOnlyError(err):
		return fmt.Errorf("%w: %w", ErrNotPrimary, err)
	case redis.HasErrorPrefix(err, "UNTOLD"):
		return fmt.Errorf("%w: INFO", ErrNotTold)
	case answered(err) && (strings.Contains(err.Error(), "WRONGTYPE") || strings.Contains(err.Error(), "CORRUPT bucket")):
		return fmt.Errorf("redisstore: %w: %w", keys.ErrCorrupt, err)
	}
	return fmt.Errorf("redisstore: %w", err)
}

// answered reports whether an error is what the server said of one command, and
// not that there is no answer.
func answered(err error) bool {
	var server redis.Error
	return errors.As(err, &server)
}
