package storetest_test

import (
	"context"
	"sync"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store"
)

// A broken store is a store.Memory some methods of which are replaced. The
// functions get the sound store, and may keep state in the overlay.
type broken struct {
	store.Memory
	overlay

	insert   func(*broken, context.Context, keys.Record) error
	get      func(*broken, context.Context, string) (keys.Record, error)
	update   func(*broken, context.Context, keys.Record) error
	list     func(*broken, context.Context, keys.Query) ([]keys.Record, error)
	sweep    func(*broken, context.Context, time.Time, int) (int, error)
	take     func(*broken, context.Context, ratelimit.Bucket, ratelimit.Limit, time.Time, int) (ratelimit.Decision, error)
	both     func(*broken, context.Context, string) (rec, parent keys.Record, err error) // in place of get
	noteUses func(*broken, context.Context, map[string]time.Time) error
	lastUses func(*broken, context.Context, []string) (map[string]time.Time, error)
	count    func(*broken, context.Context, string, keys.Kind, time.Time, int) (int, error)
	orgs     func(*broken, context.Context, string, int) ([]string, error)

	addEntry   func(*broken, context.Context, keys.Entry) error
	chains     func(*broken, context.Context, string) ([]keys.Chain, error)
	entries    func(*broken, context.Context, string, string, int64, int) ([]keys.Entry, error)
	cutEntries func(*broken, context.Context, string, string, int64) error
}

// An overlay is the state that broken methods keep beside the sound store.
type overlay struct {
	mu      sync.Mutex
	records map[string]keys.Record // what Get returns instead, by ID
	seen    []keys.Record          // what was inserted, in order
	offsets map[string]int         // of pages, by cursor
	pages   map[string][]keys.Record
	flights map[string]*flight
	tats    map[any]int64
	order   []any // keys of tats, by first use
	busy    int   // calls under way
	gets    map[string]int
	epoch   time.Time
	uses    map[string]time.Time
}

// A flight is a Get that others wait for.
type flight struct {
	done   chan struct{}
	r      keys.Record
	parent keys.Record
	err    error
}

func (b *broken) Insert(ctx context.Context, r keys.Record) error {
	if b.insert != nil {
		return b.insert(b, ctx, r)
	}
	return b.Memory.Insert(ctx, r)
}

func (b *broken) Get(ctx context.Context, id string) (rec, parent keys.Record, err error) {
	switch {
	case b.both != nil:
		return b.both(b, ctx, id)
	case b.get == nil:
		return b.Memory.Get(ctx, id)
	}
	if rec, err = b.get(b, ctx, id); err == nil && rec.Parent != "" {
		parent, _ = b.one(context.Background(), rec.Parent)
	}
	return rec, parent, err
}

// one returns what the sound store has, without the parent.
func (b *broken) one(ctx context.Context, id string) (keys.Record, error) {
	r, _, err := b.Memory.Get(ctx, id)
	return r, err
}

func (b *broken) Update(ctx context.Context, r keys.Record) error {
	if b.update != nil {
		return b.update(b, ctx, r)
	}
	return b.Memory.Update(ctx, r)
}

func (b *broken) List(ctx context.Context, q keys.Query) ([]keys.Record, error) {
	if b.list != nil {
		return b.list(b, ctx, q)
	}
	return b.Memory.List(ctx, q)
}

func (b *broken) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	if b.sweep != nil {
		return b.sweep(b, ctx, before, limit)
	}
	return b.Memory.Sweep(ctx, before, limit)
}

func (b *broken) Take(ctx context.Context, bucket ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
	if b.take != nil {
		return b.take(b, ctx, bucket, l, now, n)
	}
	return b.Memory.Take(ctx, bucket, l, now, n)
}

func (b *broken) NoteUses(ctx context.Context, uses map[string]time.Time) error {
	if b.noteUses != nil {
		return b.noteUses(b, ctx, uses)
	}
	return b.Memory.NoteUses(ctx, uses)
}

func (b *broken) LastUses(ctx context.Context, ids []string) (map[string]time.Time, error) {
	if b.lastUses != nil {
		return b.lastUses(b, ctx, ids)
	}
	return b.Memory.LastUses(ctx, ids)
}

func (b *broken) Count(ctx context.Context, org string, kind keys.Kind, now time.Time, most int) (int, error) {
	if b.count != nil {
		return b.count(b, ctx, org, kind, now, most)
	}
	return b.Memory.Count(ctx, org, kind, now, most)
}

func (b *broken) Orgs(ctx context.Context, after string, limit int) ([]string, error) {
	if b.orgs != nil {
		return b.orgs(b, ctx, after, limit)
	}
	return b.Memory.Orgs(ctx, after, limit)
}

func (b *broken) AddEntry(ctx context.Context, e keys.Entry) error {
	if b.addEntry != nil {
		return b.addEntry(b, ctx, e)
	}
	return b.Memory.AddEntry(ctx, e)
}

func (b *broken) Chains(ctx context.Context, org string) ([]keys.Chain, error) {
	if b.chains != nil {
		return b.chains(b, ctx, org)
	}
	return b.Memory.Chains(ctx, org)
}

func (b *broken) Entries(ctx context.Context, org, chain string, after int64, limit int) ([]keys.Entry, error) {
	if b.entries != nil {
		return b.entries(b, ctx, org, chain, after, limit)
	}
	return b.Memory.Entries(ctx, org, chain, after, limit)
}

func (b *broken) CutEntries(ctx context.Context, org, chain string, upTo int64) error {
	if b.cutEntries != nil {
		return b.cutEntries(b, ctx, org, chain, upTo)
	}
	return b.Memory.CutEntries(ctx, org, chain, upTo)
}

// put makes Get return r from now on.
func (o *overlay) put(r keys.Record) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.records == nil {
		o.records = make(map[string]keys.Record)
	}
	o.records[r.ID] = r
}

// updateSeenLate is an Update that readers of the overlay see some time after it
// was written, and before it returns.
func updateSeenLate(b *broken, ctx context.Context, r keys.Record) error {
	was, _ := b.one(ctx, r.ID)
	err := b.Memory.Update(ctx, r)
	if err == nil {
		b.put(was)
		latency(3)
		b.drop(r.ID)
	}
	return err
}

// getOverlaid is a Get that looks into the overlay first.
func getOverlaid(b *broken, ctx context.Context, id string) (keys.Record, error) {
	b.mu.Lock()
	r, ok := b.records[id]
	b.mu.Unlock()
	if ok && ctx.Err() == nil {
		return r, nil
	}
	return b.one(ctx, id)
}

// drop makes Get return again what the sound store has.
func (o *overlay) drop(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.records, id)
}

// lock takes an ID, and reports whether nobody else has it.
func (o *overlay) lock(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.gets[id] > 0 {
		return false
	}
	if o.gets == nil {
		o.gets = make(map[string]int)
	}
	o.gets[id]++
	return true
}

// unlock gives an ID back.
func (o *overlay) unlock(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.gets, id)
}

// note remembers a record that was inserted.
func (o *overlay) note(r keys.Record) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = append(o.seen, r)
}

// noted returns the records inserted so far.
func (o *overlay) noted() []keys.Record {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.seen[:len(o.seen):len(o.seen)]
}

// few is noted, if those are not so many that a search among them takes long.
func (o *overlay) few() []keys.Record {
	all := o.noted()
	if len(all) > 200 {
		return nil
	}
	return all
}

// insertNoted is an Insert that remembers what was inserted.
func insertNoted(b *broken, ctx context.Context, r keys.Record) error {
	err := b.Memory.Insert(ctx, r)
	if err == nil {
		b.note(r)
	}
	return err
}

// latency lets every other goroutine of the test run until it waits too: the
// tests run in bubbles of package synctest, where time stands still until then.
// So the bad interleaving is not left to luck.
func latency(d time.Duration) { time.Sleep(d) } // the bubble's own clock
