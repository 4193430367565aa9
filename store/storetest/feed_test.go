package storetest_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
)

// A feedDB is a store.Memory with a feed of changes, as a database is that several
// processes share. It is for tests alone: a cache over memory would be of no use.
type feedDB struct {
	store.Memory

	mu        sync.Mutex
	changes   []string // the IDs
	announced map[string]*announcement
}

type announcement struct {
	lease  time.Duration
	at     time.Time
	marked bool
}

// A fed store is a process's handle on a feedDB. Some of its methods are replaced.
type fed struct {
	*feedDB
	alter alteration
	own   feedDB        // what a process has by itself, where it should not
	lock  chan struct{} // that it has by itself; nobody waits for a sync.Mutex in a bubble
}

// An alteration is how a fed store is broken. What is nil is sound.
type alteration struct {
	announce func(f *fed, ctx context.Context, id string, lease time.Duration) error
	withdraw func(f *fed, ctx context.Context, ids []string) error
	markIdle func(f *fed, ctx context.Context, idle time.Duration) ([]string, error)
	longest  func(f *fed, ctx context.Context) (time.Duration, error)
	poll     func(f *fed, ctx context.Context, id string, after keys.Position) (keys.Changes, error)
	update   func(f *fed, ctx context.Context, r keys.Record) error
	named    func(r keys.Record, swept bool) []string // what is written into the feed
	ownLog   bool                                     // changes are written into the process's own feed
}

// write does something, and writes IDs into the feed if that went well, in one step.
func (f *fed) write(do func() []string) {
	log := f.feedDB
	if f.alter.ownLog {
		log = &f.own
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	log.changes = append(log.changes, do()...)
}

func (db *feedDB) Announce(ctx context.Context, id string, lease time.Duration) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if a := db.announced[id]; a != nil && a.marked {
		return fmt.Errorf("feed: %w", keys.ErrNotAnnounced)
	}
	if db.announced == nil {
		db.announced = make(map[string]*announcement)
	}
	db.announced[id] = &announcement{lease: lease, at: time.Now()}
	return nil
}

func (db *feedDB) Withdraw(ctx context.Context, ids ...string) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, id := range ids {
		delete(db.announced, id)
	}
	return nil
}

func (db *feedDB) MarkIdle(ctx context.Context, idle time.Duration) (ids []string, err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for id, a := range db.announced {
		if a.marked = a.marked || time.Since(a.at) > idle; a.marked {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (db *feedDB) LongestLease(ctx context.Context) (longest time.Duration, err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, a := range db.announced {
		longest = max(longest, a.lease)
	}
	return longest, ctx.Err()
}

func (db *feedDB) Poll(ctx context.Context, id string, after keys.Position) (c keys.Changes, err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return c, err
	}
	if a := db.announced[id]; a == nil || a.marked {
		return c, keys.ErrNotAnnounced
	}
	from, last := number(after), len(db.changes)
	if c.All = from < 0 || from > last; !c.All {
		c.IDs = slices.Clone(db.changes[from:])
	}
	c.Next = position(last)
	return c, nil
}

// position returns the position after n changes.
func position(n int) keys.Position { return keys.Position(fmt.Sprint("after ", n)) }

// number is the inverse of position, and -1 for what is no position.
func number(p keys.Position) int {
	n, err := strconv.Atoi(strings.TrimPrefix(string(p), "after "))
	if err != nil || position(n) != p {
		return -1
	}
	return n
}

// names returns what a write of r, or a Sweep of it, writes into the feed.
func (f *fed) names(r keys.Record, swept bool) []string {
	if f.alter.named != nil {
		return f.alter.named(r, swept)
	}
	return []string{r.ID}
}

// Insert waits for Sweep, which has to know what there is.
func (f *fed) Insert(ctx context.Context, r keys.Record) (err error) {
	f.write(func() []string {
		err = f.Memory.Insert(ctx, r)
		return nil
	})
	return err
}

func (f *fed) Update(ctx context.Context, r keys.Record) (err error) {
	if f.alter.update != nil {
		return f.alter.update(f, ctx, r)
	}
	f.write(func() (ids []string) {
		if err = f.Memory.Update(ctx, r); err == nil {
			ids = f.names(r, false)
		}
		return ids
	})
	return err
}

// Sweep sweeps one token at a time, so that it knows which.
func (f *fed) Sweep(ctx context.Context, before time.Time, limit int) (n int, err error) {
	if limit < 1 {
		return f.Memory.Sweep(ctx, before, limit)
	}
	f.write(func() (ids []string) {
		dead := f.dead(before)
		if n, err = f.Memory.Sweep(ctx, before, limit); n == 0 {
			return nil
		}
		for _, r := range dead {
			if _, _, err := f.Memory.Get(context.WithoutCancel(ctx), r.ID); err != nil {
				ids = append(ids, f.names(r, true)...)
			}
		}
		return ids
	})
	return n, err
}

// dead returns all tokens that Sweep may remove.
func (f *fed) dead(before time.Time) (dead []keys.Record) {
	ctx := context.Background()
	orgs, _ := f.Memory.Orgs(ctx, "", 1<<20)
	for _, org := range orgs {
		page, _ := f.Memory.List(ctx, keys.Query{Org: org, Kind: keys.KindToken, Limit: 1 << 20})
		for _, r := range page {
			if r.Sweepable(before) {
				dead = append(dead, r)
			}
		}
	}
	return dead
}

func (f *fed) Announce(ctx context.Context, id string, lease time.Duration) error {
	if f.alter.announce != nil {
		return f.alter.announce(f, ctx, id, lease)
	}
	return f.feedDB.Announce(ctx, id, lease)
}

func (f *fed) Withdraw(ctx context.Context, ids ...string) error {
	if f.alter.withdraw != nil {
		return f.alter.withdraw(f, ctx, ids)
	}
	return f.feedDB.Withdraw(ctx, ids...)
}

func (f *fed) MarkIdle(ctx context.Context, idle time.Duration) ([]string, error) {
	if f.alter.markIdle != nil {
		return f.alter.markIdle(f, ctx, idle)
	}
	return f.feedDB.MarkIdle(ctx, idle)
}

func (f *fed) LongestLease(ctx context.Context) (time.Duration, error) {
	if f.alter.longest != nil {
		return f.alter.longest(f, ctx)
	}
	return f.feedDB.LongestLease(ctx)
}

func (f *fed) Poll(ctx context.Context, id string, after keys.Position) (keys.Changes, error) {
	if f.alter.poll != nil {
		return f.alter.poll(f, ctx, id, after)
	}
	return f.feedDB.Poll(ctx, id, after)
}

// polling is a Poll whose good answers are changed.
func polling(change func(f *fed, after keys.Position, c *keys.Changes)) alteration {
	return alteration{poll: func(f *fed, ctx context.Context, id string, after keys.Position) (keys.Changes, error) {
		c, err := f.feedDB.Poll(ctx, id, after)
		if err == nil {
			change(f, after, &c)
		}
		return c, err
	}}
}

// passing is a Poll for which announcements are looked up in another way.
func passing(announced func(f *fed, id string) bool) alteration {
	return alteration{poll: func(f *fed, ctx context.Context, id string, after keys.Position) (keys.Changes, error) {
		f.mu.Lock()
		ok := announced(f, id)
		f.mu.Unlock()
		if !ok {
			return f.feedDB.Poll(ctx, id, after)
		}
		as := "as if " + id
		_ = f.feedDB.Announce(context.WithoutCancel(ctx), as, 0)
		defer f.feedDB.Withdraw(context.WithoutCancel(ctx), as)
		return f.feedDB.Poll(ctx, as, after)
	}}
}

// early is an Update whose change is in the feed some time before the record is written.
func early(f *fed, ctx context.Context, r keys.Record) error {
	if was, _, err := f.Memory.Get(ctx, r.ID); err == nil {
		if _, err := keys.Next(was, r); err == nil {
			f.write(func() []string { return []string{r.ID} })
			latency(3)
		}
	}
	return f.Memory.Update(ctx, r)
}

// late is an Update whose change is in the feed some time after the record is written.
func late(f *fed, ctx context.Context, r keys.Record) error {
	err := f.Memory.Update(ctx, r)
	if err == nil {
		latency(3)
		f.write(func() []string { return []string{r.ID} })
	}
	return err
}

// sequenced is an Update that draws a number, and is committed a while later, with or
// without a lock of the process.
func sequenced(locks bool) (update func(f *fed, ctx context.Context, r keys.Record) error) {
	return func(f *fed, ctx context.Context, r keys.Record) error {
		if locks {
			f.lock <- struct{}{}
			defer func() { <-f.lock }()
		}
		f.mu.Lock()
		number := len(f.changes)
		f.changes = append(f.changes, "") // to be committed
		f.mu.Unlock()
		if number%3 == 0 {
			latency(1)
		}
		err := f.Memory.Update(ctx, r)
		f.mu.Lock()
		defer f.mu.Unlock()
		if err == nil {
			f.changes[number] = r.ID
		}
		return err
	}
}

// committed is a Poll that goes by the last number that is committed.
func committed(f *fed, ctx context.Context, id string, after keys.Position) (keys.Changes, error) {
	c, err := f.feedDB.Poll(ctx, id, after)
	if err != nil {
		return c, err
	}
	last := number(c.Next)
	for n := len(c.IDs); n > 0 && c.IDs[n-1] == ""; n-- {
		last--
	}
	c.IDs = slices.DeleteFunc(c.IDs, func(id string) bool { return id == "" })
	c.Next = position(last)
	return c, nil
}
