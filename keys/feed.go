package keys

import (
	"context"
	"errors"
	"time"
)

// Errors of a [Feed].
var (
	// ErrNotAnnounced reports a cache whose announcement is missing, or marked for
	// removal by another process. The cache stops, and announces itself anew under
	// another ID.
	ErrNotAnnounced = errors.New("keys: cache is not announced")
	// ErrUncommitted reports a change in a transaction of the host that is still
	// open. Call [Manager.Settle] after the commit.
	ErrUncommitted = errors.New("keys: change is not committed yet")
)

// A Feed is what a [Store] offers to the caches of all processes that share it:
// the changes of records, and a place where caches announce themselves. It is
// optional; a store without it can have no [Cache].
//
// A store that wraps a store with a Feed must have the methods of the Feed too.
// Otherwise a manager over it does not wait for the caches of other processes. A
// struct that embeds a store of a concrete type has them.
//
// Announcements do not expire. They stay until somebody removes them, and the rules
// of [Cache] make that safe.
type Feed interface {
	// Announce writes down that a cache with the given ID may use records for the
	// time of a lease, in whole milliseconds, without asking again. It returns
	// when the announcement is as durable as a record, and LongestLease on every
	// node sees it. If the ID is announced already, Announce notes the lease anew,
	// and that the cache is still in use. If that announcement is marked, it fails
	// with an error that wraps ErrNotAnnounced; it never removes a mark.
	Announce(ctx context.Context, id string, lease time.Duration) error

	// Withdraw removes announcements, marked or not. IDs without an announcement
	// are ignored.
	Withdraw(ctx context.Context, ids ...string) error

	// MarkIdle marks the announcements that were last written longer ago than the
	// given time. It returns their IDs, and those of announcements that were marked
	// before: whoever marked them may be gone. It returns when the marks are as
	// durable as records. It does no harm if an announcement is marked by mistake,
	// as after a jump of the clock: the cache announces itself anew.
	MarkIdle(ctx context.Context, idle time.Duration) (ids []string, err error)

	// Poll returns the IDs of records that were updated or removed after a
	// position. It names every change that was committed when the call began,
	// unless the answer with that position has named it. Changes may be named more
	// than once, in any order. Instead of naming changes, Poll may set All. It must
	// do so if the position is empty or too old, or if the server does not know
	// the position, as after a restore.
	//
	// The error wraps ErrNotAnnounced if no cache with the given ID is announced,
	// or its announcement is marked. A server that may not be the primary returns
	// an error.
	Poll(ctx context.Context, id string, after Position) (Changes, error)

	// LongestLease returns the longest lease among all announcements, marked ones
	// included, and 0 if there are none. It returns MaxLease if announcements may
	// have been lost a moment ago, by a failover or a restore. In a transaction of
	// the host that has written something, it fails with an error that wraps
	// ErrUncommitted.
	LongestLease(ctx context.Context) (time.Duration, error)
}

// A Position is a place in a [Feed]: text that only the store can read. The
// empty Position is before all changes. The number of a change is not enough for a
// Position, since the same numbers come again after a restore. So a store adds a random
// value, which it draws anew whenever changes may have been lost.
type Position string

// Changes are the answer of [Feed.Poll].
type Changes struct {
	IDs  []string // the IDs of records that have changed
	All  bool     // any record may have changed
	Next Position // the position for the next Poll
}
