package keys

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds on the lease of a [Cache].
const (
	DefaultLease = time.Second
	MinLease     = 50 * time.Millisecond
	MaxLease     = 5 * time.Second
)

// DefaultMaxCached is how many records a [Cache] holds by default.
const DefaultMaxCached = 100_000

// CacheOptions are the settings of a [Cache].
type CacheOptions struct {
	// Lease is how long records may be used after the store was last asked for
	// changes. It is asked four times in that time. A lease is from MinLease to
	// MaxLease, in whole milliseconds; if zero, it is DefaultLease. Whoever revokes
	// or changes a credential, in any process, waits 1.2 times as long.
	Lease time.Duration

	// MaxRecords bounds how many records are held, about a kilobyte each. If
	// zero, DefaultMaxCached. Less than 64 counts as 64.
	MaxRecords int

	// Timeout bounds each call of the store. If zero, keys.DefaultTimeout.
	Timeout time.Duration

	// OnError is called with the error of each announcement or poll that failed,
	// from the goroutine of Run, one call at a time. There are several in a second
	// while the store is down: see [LogErrors]. If nil, such errors are dropped.
	OnError func(error)
}

// A Cache holds records that were read from a store lately, so that checks need
// not ask the store. It keeps the promise of [Manager.Revoke]: when that has
// returned, no check that starts later, on any node, accepts the credential.
//
// The host wraps its store, hands the Cache to its managers and verifiers, and
// runs it:
//
//	cache, err := keys.NewCache(store, nil)
//	manager, err := keys.NewManager(cache, opts)
//	go cache.Run(ctx)
//
// Only checks are served from a Cache. Its methods as a [Store], by which a
// manager reads and writes, call the store. A Cache never remembers that a credential
// does not exist, so a new one is good everywhere at once. Until Run has started, and
// whenever the store has not answered for longer than the lease, checks read the
// store.
//
// # Why no check accepts a revoked credential
//
// Four times in each lease T, Run asks the [Feed] of the store which records were
// changed. It notes the time p before it asks. When the answer is there it first
// drops the records that the answer names, and then lets the cache be used until
// p+T. Before that, and for as long as it goes on, T is announced in the store.
//
// Whoever changes a record reads the longest announced lease after the change is
// committed, and waits for 1.2 times that before the call returns. Let the commit
// be at c, and the return at R. A check that starts after R uses the cache only if
// the last poll of its node began at p > R-T, and so after c. That poll's answer
// named the change, and the record was dropped before the lease was extended.
//
// Clocks of different machines are never compared. The wait is longer than T by a
// fifth because clocks run at different speeds. A node that is cut off stops using
// its cache by itself. It reads the monotonic clock and the wall clock, and goes by
// the one that shows more time, since the monotonic clock stands still while a
// machine sleeps. In two cases a cache is used for up to T after the machine wakes: a
// virtual machine that was stopped with both of its clocks, and a machine whose wall
// clock was set back while it slept.
//
// A Cache is safe for concurrent use.
type Cache struct {
	store   Store
	feed    Feed
	opts    CacheOptions
	clock   func() reading
	running atomic.Bool

	began  atomic.Pointer[reading] // when the last poll that was answered began; nil if the cache is not in use
	run    atomic.Uint64           // the number of the announcement
	polled atomic.Uint64           // the number of the last poll whose answer has been carried out
	reads  atomic.Uint64           // of the store, by checks
	lapses atomic.Uint64           // checks while the cache was not in use
	failed atomic.Uint64           // polls that failed

	seed   maphash.Seed
	shards [cacheShards]cacheShard
}

const cacheShards = 64

// A cacheShard is a part of the table. The lock guards all but the counts.
type cacheShard struct {
	mu      sync.RWMutex
	records map[string]*Record // never changed, and never zero
	named   uint64             // the number of the last poll that named something in this shard
	flights map[string]*flight // reads that are under way

	hits, misses atomic.Uint64
}

// NewCache returns a Cache over a store. The store must have a [Feed], and must not
// be a Cache itself. A nil opts is the zero CacheOptions. The error says what is
// wrong.
func NewCache(store Store, opts *CacheOptions) (*Cache, error) {
	feed, ok := store.(Feed)
	_, cached := store.(interface{ behind() Feed })
	switch {
	case store == nil:
		return nil, errors.New("keys: NewCache needs a store")
	case cached:
		return nil, errors.New("keys: the store of NewCache is a Cache already, or embeds one")
	case !ok:
		return nil, errors.New("keys: the store has no feed of changes, so it can have no cache")
	}
	if opts == nil {
		opts = new(CacheOptions)
	}
	o := *opts
	o.Lease = cmp.Or(o.Lease, DefaultLease)
	o.MaxRecords = cmp.Or(o.MaxRecords, DefaultMaxCached)
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	switch {
	case o.Lease < MinLease || o.Lease > MaxLease || o.Lease%time.Millisecond != 0:
		return nil, fmt.Errorf("keys: the lease %v is not from %v to %v in whole milliseconds", o.Lease, MinLease, MaxLease)
	case o.MaxRecords < 0 || o.Timeout < 0:
		return nil, errors.New("keys: the bound on records or the timeout of a cache is negative")
	}
	origin := time.Now()
	c := &Cache{
		store: store, feed: feed, opts: o, seed: maphash.MakeSeed(),
		clock: func() reading { return readingAt(time.Now(), origin) },
	}
	for i := range c.shards {
		c.shards[i].records = make(map[string]*Record)
		c.shards[i].flights = make(map[string]*flight)
	}
	return c, nil
}

// behind returns the feed of the store. It also marks structs that embed a Cache.
func (c *Cache) behind() Feed { return c.feed }

// usable reports whether records in the table may be used at a moment.
func (c *Cache) usable(now reading) bool {
	p := c.began.Load()
	return p != nil && now.since(*p) < c.opts.Lease
}

func (c *Cache) shard(id string) *cacheShard {
	return &c.shards[maphash.String(c.seed, id)%cacheShards]
}

// lookUp returns a record and its parent, or nil for no parent. Neither may be
// changed. The error is the store's.
func (c *Cache) lookUp(ctx context.Context, id string) (rec, parent *Record, err error) {
	// The lease is read before the table. Otherwise a check that pauses in between
	// could use a record from before the pause under a lease from after it.
	now := c.clock()
	if !c.usable(now) {
		c.lapses.Add(1)
		return c.read(ctx, id)
	}
	s := c.shard(id)
	if rec = s.get(id); rec != nil {
		if rec.Parent == "" {
			s.hits.Add(1)
			return rec, nil, nil
		}
		if parent = c.shard(rec.Parent).get(rec.Parent); parent != nil {
			s.hits.Add(1)
			return rec, parent, nil
		}
	}
	s.misses.Add(1)
	return c.share(ctx, s, id, now)
}

// get returns the record with an ID, or nil.
func (s *cacheShard) get(id string) *Record {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.records[id]
}

// read reads a record from the store, and keeps it.
func (c *Cache) read(ctx context.Context, id string) (rec, parent *Record, err error) {
	noted := c.polled.Load() // before the store is asked
	c.reads.Add(1)
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	r, p, err := c.store.Get(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	rec = &r
	if p.ID != "" {
		parent = &p
	}
	if r.ID == id && (p.ID == "" || p.ID == r.Parent) {
		c.keep(noted, rec, parent)
	}
	return rec, parent, nil
}

// keep puts records into the table that were read after the poll with the number
// noted had been carried out. It leaves out those in whose shard a later poll has named
// something since: they may be from before that change.
func (c *Cache) keep(noted uint64, records ...*Record) {
	for _, r := range records {
		if r != nil {
			c.shard(r.ID).put(r, noted, c.opts.MaxRecords/cacheShards)
		}
	}
}

// put puts a record into its shard, unless a poll after noted has named something
// there. If the shard is full, other records are dropped.
func (s *cacheShard) put(r *Record, noted uint64, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.named > noted {
		return
	}
	for id := range s.records { // in random order
		if len(s.records) < most {
			break
		}
		delete(s.records, id)
	}
	s.records[r.ID] = r
}

// drop carries out the answer of the poll with the given number.
func (c *Cache) drop(number uint64, changes Changes) {
	if changes.All {
		for i := range c.shards {
			c.shards[i].empty(number)
		}
		return
	}
	for _, id := range changes.IDs {
		c.shard(id).drop(id, number)
	}
}

func (s *cacheShard) empty(number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.named = number
	clear(s.records)
}

func (s *cacheShard) drop(id string, number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.named = max(s.named, number)
	delete(s.records, id)
}

// forget drops one record that this process has changed itself.
func (c *Cache) forget(id string) {
	s := c.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.records, id)
}

// CacheStats are the figures of a [Cache]. The counts begin when the Cache is made.
type CacheStats struct {
	Records int           // records that are held now
	Hits    uint64        // checks that were served without the store
	Misses  uint64        // checks of a record that was not held
	Lapses  uint64        // checks while the cache was not in use
	Reads   uint64        // reads of the store by checks; several checks can share one
	Failed  uint64        // announcements and polls that failed
	Age     time.Duration // since the last answered poll began; -1 if there was none
}

// Stats returns the figures of c, for metrics.
func (c *Cache) Stats() CacheStats {
	stats := CacheStats{Lapses: c.lapses.Load(), Reads: c.reads.Load(), Failed: c.failed.Load(), Age: -1}
	if p := c.began.Load(); p != nil {
		stats.Age = c.clock().since(*p)
	}
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		stats.Records += len(s.records)
		s.mu.RUnlock()
		stats.Hits += s.hits.Load()
		stats.Misses += s.misses.Load()
	}
	return stats
}

// Insert calls Insert of the store.
func (c *Cache) Insert(ctx context.Context, r Record) error { return c.store.Insert(ctx, r) }

// Get calls Get of the store, and so returns the record as it is now.
func (c *Cache) Get(ctx context.Context, id string) (rec, parent Record, err error) {
	return c.store.Get(ctx, id)
}

// Update calls Update of the store.
func (c *Cache) Update(ctx context.Context, r Record) error {
	defer c.forget(r.ID)
	return c.store.Update(ctx, r)
}

// List calls List of the store.
func (c *Cache) List(ctx context.Context, q Query) ([]Record, error) { return c.store.List(ctx, q) }

// Sweep calls Sweep of the store.
func (c *Cache) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	return c.store.Sweep(ctx, before, limit)
}
