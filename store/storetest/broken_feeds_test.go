package storetest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/storetest"
)

// feedDefects are ways to break a feed, and the clauses that must be named.
var feedDefects = []struct {
	name   string
	clause string
	alter  alteration
}{
	{"leases are in whole seconds", "feed-announces", alteration{longest: func(f *fed, ctx context.Context) (time.Duration, error) {
		longest, err := f.feedDB.LongestLease(ctx)
		return longest.Truncate(time.Second), err
	}}},
	{"the last lease counts", "feed-announces", alteration{announce: func(f *fed, ctx context.Context, id string, lease time.Duration) error {
		f.mu.Lock()
		for _, a := range f.announced {
			a.lease = lease
		}
		f.mu.Unlock()
		return f.feedDB.Announce(ctx, id, lease)
	}}},
	{"an announcement that comes again is none", "feed-announces", alteration{announce: func(f *fed, ctx context.Context, id string, lease time.Duration) error {
		f.mu.Lock()
		_, there := f.announced[id]
		f.mu.Unlock()
		if there && ctx.Err() == nil {
			return keys.ErrExists
		}
		return f.feedDB.Announce(ctx, id, lease)
	}}},
	{"withdrawing one withdraws all", "feed-withdraws", alteration{withdraw: func(f *fed, ctx context.Context, ids []string) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, id := range ids {
			if _, there := f.announced[id]; there && ctx.Err() == nil {
				clear(f.announced)
			}
		}
		return ctx.Err()
	}}},
	{"one is withdrawn at a time", "feed-withdraws", alteration{withdraw: func(f *fed, ctx context.Context, ids []string) error {
		return f.feedDB.Withdraw(ctx, ids[:min(1, len(ids))]...)
	}}},
	{"withdrawing nobody is a failure", "feed-withdraws", alteration{withdraw: func(f *fed, ctx context.Context, ids []string) error {
		f.mu.Lock()
		for _, id := range ids {
			if _, there := f.announced[id]; !there {
				f.mu.Unlock()
				return keys.ErrNotFound
			}
		}
		f.mu.Unlock()
		return f.feedDB.Withdraw(ctx, ids...)
	}}},
	{"the lease of an announcement is that of the first", "feed-announces", alteration{announce: func(f *fed, ctx context.Context, id string, lease time.Duration) error {
		f.mu.Lock()
		a := f.announced[id]
		f.mu.Unlock()
		if a != nil {
			lease = a.lease
		}
		return f.feedDB.Announce(ctx, id, lease)
	}}},
	{"anybody may poll", "feed-needs-an-announcement", passing(func(f *fed, id string) bool { return f.announced[id] == nil })},
	{"whoever is announced in another case may poll", "feed-needs-an-announcement", passing(func(f *fed, id string) bool {
		for other := range f.announced {
			if strings.EqualFold(other, id) && other != id {
				return true
			}
		}
		return false
	})},
	{"the empty position is the end", "feed-begins-with-all", polling(func(_ *fed, after keys.Position, c *keys.Changes) {
		if after == "" {
			c.All = false
		}
	})},
	{"revocations are not named", "feed-names-changes", alteration{named: func(r keys.Record, swept bool) []string {
		if r.Revoked() && !swept {
			return nil
		}
		return []string{r.ID}
	}}},
	{"what is swept is not named", "feed-names-changes", alteration{named: func(r keys.Record, swept bool) []string {
		if swept {
			return nil
		}
		return []string{r.ID}
	}}},
	{"clients are not named", "feed-names-changes", alteration{named: func(r keys.Record, _ bool) []string {
		if r.Kind == keys.KindClient {
			return nil
		}
		return []string{r.ID}
	}}},
	{"a record is named once", "feed-names-changes", polling(func(f *fed, after keys.Position, c *keys.Changes) {
		f.mu.Lock()
		defer f.mu.Unlock()
		n := number(after)
		c.IDs = slices.DeleteFunc(c.IDs, func(id string) bool { return slices.Contains(f.changes[:n], id) })
	})},
	{"names are cut at spaces", "feed-names-bytes", alteration{named: func(r keys.Record, _ bool) []string {
		if !strings.Contains(r.Org, "feed-names-bytes") {
			return []string{r.ID}
		}
		return strings.Fields(r.ID)
	}}},
	{"names are cut to 64 bytes", "feed-names-bytes", alteration{named: func(r keys.Record, _ bool) []string { return []string{cut(r.ID, 64)} }}},
	{"a change is told once", "feed-serves-many", polling(func(f *fed, after keys.Position, c *keys.Changes) {
		f.own.mu.Lock()
		defer f.own.mu.Unlock()
		told := max(number(after), len(f.own.changes)) // how many
		c.IDs = c.IDs[min(told-number(after), len(c.IDs)):]
		f.own.changes = make([]string, number(c.Next))
	})},
	{"all may have changed, always", "feed-knows-its-positions", polling(func(_ *fed, _ keys.Position, c *keys.Changes) { c.All, c.IDs = true, nil })},
	{"all may have changed when one has", "feed-knows-its-positions", polling(func(_ *fed, _ keys.Position, c *keys.Changes) { c.All = c.All || len(c.IDs) > 0 })},
	{"what is no position is the end", "feed-empties-at-unknown-positions", polling(func(_ *fed, after keys.Position, c *keys.Changes) {
		c.All = c.All && after == ""
	})},
	{"positions are read as numbers", "feed-empties-at-unknown-positions", polling(func(_ *fed, after keys.Position, c *keys.Changes) {
		c.All = c.All && after != "0"
	})},
	{"a thousand changes are kept", "feed-says-what-it-forgot", polling(func(_ *fed, _ keys.Position, c *keys.Changes) {
		c.IDs = c.IDs[max(0, len(c.IDs)-1000):]
	})},
	{"all are marked", "feed-marks-idle", alteration{markIdle: func(f *fed, ctx context.Context, idle time.Duration) ([]string, error) {
		return f.feedDB.MarkIdle(ctx, min(idle, 0))
	}}},
	{"what was marked before is not told again", "feed-marks-idle", alteration{markIdle: func(f *fed, ctx context.Context, idle time.Duration) ([]string, error) {
		before := make(map[string]bool)
		f.mu.Lock()
		for id, a := range f.announced {
			before[id] = a.marked
		}
		f.mu.Unlock()
		ids, err := f.feedDB.MarkIdle(ctx, idle)
		return slices.DeleteFunc(ids, func(id string) bool { return before[id] }), err
	}}},
	{"an announcement is as old as the first", "feed-marks-idle", alteration{announce: func(f *fed, ctx context.Context, id string, lease time.Duration) error {
		f.mu.Lock()
		was := f.announced[id]
		f.mu.Unlock()
		err := f.feedDB.Announce(ctx, id, lease)
		f.mu.Lock()
		defer f.mu.Unlock()
		if err == nil && was != nil {
			f.announced[id].at = was.at
		}
		return err
	}}},
	{"nobody is told what was marked", "feed-marks-idle", alteration{markIdle: func(f *fed, ctx context.Context, idle time.Duration) ([]string, error) {
		_, err := f.feedDB.MarkIdle(ctx, idle)
		return nil, err
	}}},
	{"a mark is taken away", "feed-marks-stay", alteration{announce: func(f *fed, ctx context.Context, id string, lease time.Duration) error {
		if ctx.Err() == nil {
			f.mu.Lock()
			delete(f.announced, id)
			f.mu.Unlock()
		}
		return f.feedDB.Announce(ctx, id, lease)
	}}},
	{"what is marked may poll", "feed-marks-stay", passing(func(f *fed, id string) bool { return f.announced[id] != nil && f.announced[id].marked })},
	{"what is marked does not count", "feed-marks-stay", alteration{longest: func(f *fed, ctx context.Context) (longest time.Duration, err error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, a := range f.announced {
			if !a.marked {
				longest = max(longest, a.lease)
			}
		}
		return longest, ctx.Err()
	}}},
	{"what is marked cannot be withdrawn", "feed-marks-stay", alteration{withdraw: func(f *fed, ctx context.Context, ids []string) error {
		f.mu.Lock()
		ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return f.announced[id] != nil && f.announced[id].marked })
		f.mu.Unlock()
		return f.feedDB.Withdraw(ctx, ids...)
	}}},
	{"no time is no lease", "feed-context-ended", alteration{longest: func(f *fed, ctx context.Context) (time.Duration, error) {
		longest, _ := f.feedDB.LongestLease(ctx)
		return longest, nil
	}}},
	{"no time is no announcement", "feed-context-ended", alteration{poll: func(f *fed, ctx context.Context, id string, after keys.Position) (keys.Changes, error) {
		c, err := f.feedDB.Poll(ctx, id, after)
		if errors.Is(err, context.Canceled) {
			err = keys.ErrNotAnnounced
		}
		return c, err
	}}},
	{"changes are numbered and then committed", "feed-misses-nothing", alteration{
		update: sequenced(false), poll: committed,
	}},
	{"changes are named and then committed", "feed-misses-nothing", alteration{update: early}},
	{"changes are committed and then named", "feed-misses-nothing", alteration{update: late}},
	{"the position is read after the changes", "feed-misses-nothing", alteration{
		poll: func(f *fed, ctx context.Context, id string, after keys.Position) (keys.Changes, error) {
			c, err := f.feedDB.Poll(ctx, id, after)
			latency(1000)
			f.mu.Lock()
			defer f.mu.Unlock()
			c.Next = position(len(f.changes))
			return c, err
		},
	}},
	{"an announcement is read and then written", "feed-concurrent-marks-stay", alteration{
		announce: func(f *fed, ctx context.Context, id string, lease time.Duration) error {
			f.mu.Lock()
			a := f.announced[id]
			marked := a != nil && a.marked
			f.mu.Unlock()
			latency(3)
			if !marked && ctx.Err() == nil {
				f.mu.Lock()
				delete(f.announced, id)
				f.mu.Unlock()
			}
			return f.feedDB.Announce(ctx, id, lease)
		},
	}},
	{"each process has its announcements", "second-feed-sees-writes", alteration{
		announce: func(f *fed, ctx context.Context, id string, lease time.Duration) error {
			return f.own.Announce(ctx, id, lease)
		},
		withdraw: func(f *fed, ctx context.Context, ids []string) error { return f.own.Withdraw(ctx, ids...) },
		markIdle: func(f *fed, ctx context.Context, idle time.Duration) ([]string, error) {
			return f.own.MarkIdle(ctx, idle)
		},
		longest: func(f *fed, ctx context.Context) (time.Duration, error) { return f.own.LongestLease(ctx) },
		poll: passing(func(f *fed, id string) bool {
			_, err := f.own.Poll(context.Background(), id, "")
			return err == nil
		}).poll,
	}},
	{"each process has its changes", "second-feed-sees-writes", alteration{
		ownLog: true,
		poll: func(f *fed, ctx context.Context, id string, after keys.Position) (keys.Changes, error) {
			if c, err := f.feedDB.Poll(ctx, id, after); err != nil {
				return c, err
			}
			_ = f.own.Announce(context.WithoutCancel(ctx), id, 0)
			return f.own.Poll(ctx, id, after)
		},
	}},
	{"each process has a lock for its numbers", "second-feed-misses-nothing", alteration{
		update: sequenced(true), poll: committed,
	}},
}

func newFed(db *feedDB, alter alteration) *fed {
	return &fed{feedDB: db, alter: alter, lock: make(chan struct{}, 1)}
}

// checkFeed judges a feed that is broken in one way, as checkRecords does.
func checkFeed(t testing.TB, upTo string, alter alteration) []*storetest.Violation {
	return storetest.CheckRecordsUpTo(t, upTo, func(testing.TB) keys.Store {
		return newFed(new(feedDB), alter)
	}, &storetest.Options[keys.Store]{
		Race:   lap,
		Second: func(_ testing.TB, s keys.Store) keys.Store { return newFed(s.(*fed).feedDB, alter) },
	})
}

// TestFeeds holds that a sound feed breaks no clause, and that each defect is
// reported once.
func TestFeeds(t *testing.T) {
	t.Parallel()
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			if v := checkFeed(t, "", alteration{}); v != nil {
				t.Error(v)
			}
		})
	})
	for i, d := range feedDefects {
		if testing.Short() && i%15 != 0 {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				violations := checkFeed(t, judgedBy(i, d.clause), d.alter)
				if diff := cmp.Diff([]string{d.clause}, names(violations)); diff != "" {
					t.Errorf("clauses reported (-want +got):\n%s\n%v", diff, violations)
				}
			})
		})
	}
}
