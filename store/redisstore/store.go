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

	// Timeout bounds each round trip, including all that the client does for it:
	// waiting for a connection, making one, sending a read again. A context that
	// ends sooner bounds it further. If zero, DefaultTimeout.
	Timeout time.Duration

	// Replicas is the number of replicas that must have the write before an
	// Insert or an Update returns nil. If fewer have it when the time is over,
	// the call fails with [ErrReplicas]. If zero, calls do not wait for replicas,
	// and a failover can lose what the primary acknowledged last.
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

// New returns a Store over a client, which the caller closes. It does not connect to
// the server. [Store.Check] asks the server whether it keeps what it acknowledges.
//
// New fails if an option is out of range, or if the client is one of package
// redis whose settings break the contract of a store:
//
//   - ContextTimeoutEnabled must be set. Without it a call goes on after its
//     context has ended, for as long as the server takes.
//   - Reads must go to primaries: no ReadOnly, RouteByLatency or RouteRandomly.
//     A replica does not know yet what was just revoked.
//   - There must be no client-side cache, which does not know it either.
//   - The client must not be a [redis.Ring], which uses other servers for the
//     keys of one that is down. Records would be missing, and IDs be used twice.
//
// New cannot check clients of other types, such as wrappers, but they must keep these
// rules too. They cannot be used with Options.Replicas.
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
		return nil, fmt.Errorf("redisstore: Options.Timeout is %v, want 0 or more", o.Timeout)
	case o.Replicas < 0:
		return nil, fmt.Errorf("redisstore: Options.Replicas is %d, want 0 or more", o.Replicas)
	}
	if err := fit(client, o.Replicas); err != nil {
		return nil, err
	}
	_, together := client.(*redis.Client)
	return &Store{client, together, n, o.Timeout, o.Replicas, new(ends)}, nil
}

// fit returns an error that says what is wrong with a client, or nil.
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
		bounded, spread = o.ContextTimeoutEnabled, o.ReadOnly // which the client sets for the other two
	case *redis.Ring:
		return errors.New("redisstore: a redis.Ring moves keys to other servers while one is down: use a redis.Client or a redis.ClusterClient")
	default:
		if replicas > 0 {
			return fmt.Errorf("redisstore: a client of type %T cannot wait for replicas: use a redis.Client or a redis.ClusterClient, or leave Options.Replicas at 0", client)
		}
		return nil
	}
	switch {
	case !bounded:
		return errors.New("redisstore: set ContextTimeoutEnabled in the options of the client, since calls must end with their contexts")
	case cached:
		return errors.New("redisstore: the client has a client-side cache, which would accept what is revoked: leave it out of the options of the client")
	case spread:
		return errors.New("redisstore: the client reads from replicas, which would accept what is revoked: leave out ReadOnly, RouteByLatency and RouteRandomly")
	}
	return nil
}

// bound returns a context for one round trip. If ctx ends soon enough, it returns ctx.
func (s *Store) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= s.timeout {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, s.timeout)
}

// failure returns the error that callers see for one of the client. It wraps
// keys.ErrCorrupt if a key holds something that this package does not write.
func failure(err error) error {
	switch {
	case err == nil:
		return nil
	case redis.IsReadOnlyError(err):
		return fmt.Errorf("%w: %w", ErrNotPrimary, err)
	case redis.HasErrorPrefix(err, "UNTOLD"):
		return fmt.Errorf("%w: it denies the command INFO", ErrNotTold)
	case answered(err) && (strings.Contains(err.Error(), "WRONGTYPE") || strings.Contains(err.Error(), "CORRUPT bucket")):
		return fmt.Errorf("redisstore: %w: %w", keys.ErrCorrupt, err)
	}
	return fmt.Errorf("redisstore: %w", err)
}

// answered reports whether an error is the server's answer to a command, and does not
// mean that there was no answer.
func answered(err error) bool {
	var server redis.Error
	return errors.As(err, &server)
}
