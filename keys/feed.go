package keys

import (
	"context"
	"errors"
	"time"
)

// Errors of a [Feed].
var (
	// ErrNotAnnounced reports a cache whose announcement is not there, or that
	// another process is about to remove. The cache stops, and announces itself
	// anew under another ID.
	ErrNotAnnounced = errors.New("keys: cache is not announced")
	// ErrUncommitted reports a change in a transaction of the host's that is still
	// open. Call [Manager.Settle] when it is committed.
	ErrUncommitted = errors.New("keys: change is not committed yet")
)

// A Feed is what a [Store] offers to the caches of all processes that share it:
// the changes of records, and a place where caches announce themselves. It is
// optional; a store without it can have no [Cache]. A store that wraps another one
// must have the methods of a Feed if that has them, as a struct has that embeds a
// store of a concrete type: a manager over a store without them does not wait for
// the caches of others.
//
// A Feed keeps no clock. Announcements stay until somebody takes them back, and
// the rules of [Cache] are what makes them safe.
type Feed interface {
	// Announce writes down that a cache with the given ID may use records for the
	// time of a lease, in whole milliseconds, without asking again. It returns
	// when that is as durable as a record is, and when LongestLease on every
	// node sees it. For an ID that is there it notes that the cache is still in
	// use, and fails with an error that wraps ErrNotAnnounced if the announcement
	// is marked; it never takes a mark away.
	Announce(ctx context.Context, id string, lease time.Duration) error

	// Withdraw removes announcements, marked or not. IDs that are not there are
	// passed over.
	Withdraw(ctx context.Context, ids ...string) error

	// MarkIdle marks the announcements that were last written longer ago than a
	// time, and returns their IDs. It returns when the marks are as durable as
	// records are. A cache whose announcement is marked by mistake, as by a clock
	// that jumped, starts again, and that is all.
	MarkIdle(ctx context.Context, idle time.Duration) (ids []string, err error)

	// Poll returns the IDs of records that were updated or removed since a
	// position: each change that was committed when the call began, and that was
	// not in the answer which gave the position. Changes may be named more than
	// once, in any order. Changes says All in place of names if the position is
	// the empty one, or is too old, or comes from a past that the server has lost
	// or has not had. It returns an error that wraps ErrNotAnnounced unless the
	// announcement with the given ID is there and not marked. A server that may
	// not be the primary fails.
	Poll(ctx context.Context, id string, after Position) (Changes, error)

	// LongestLease returns the longest lease among all announcements, marked ones
	// included, and 0 if there are none. If announcements may have been lost,
	// within the last moments, by a failover or a restore, it returns MaxLease. It
	// fails with an error that wraps ErrUncommitted in a transaction of the host's
	// that has written something.
	LongestLease(ctx context.Context) (time.Duration, error)
}

// A Position is a place in a [Feed]: text that only the store can read. The
// empty Position is before everything.
type Position string

// Changes are what a [Feed] says.
type Changes struct {
	IDs  []string // of the records that have changed
	All  bool     // any record may have changed
	Next Position // from where to go on
}
