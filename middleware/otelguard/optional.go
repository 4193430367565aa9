package otelguard

import (
	"context"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// uses measure a [keys.UseStore].
type uses struct {
	store keys.UseStore
	t     *Telemetry
}

func (s uses) NoteUses(ctx context.Context, at map[string]time.Time) error {
	began := time.Now()
	err := s.store.NoteUses(ctx, at)
	s.t.called(ctx, "note_uses", began, err)
	return err
}

func (s uses) LastUses(ctx context.Context, ids []string) (map[string]time.Time, error) {
	began := time.Now()
	at, err := s.store.LastUses(ctx, ids)
	s.t.called(ctx, "last_uses", began, err)
	return at, err
}

// count measures a [keys.CountStore].
type count struct {
	store keys.CountStore
	t     *Telemetry
}

func (s count) Count(ctx context.Context, org string, kind keys.Kind, now time.Time, most int) (int, error) {
	began := time.Now()
	n, err := s.store.Count(ctx, org, kind, now, most)
	s.t.called(ctx, "count", began, err)
	return n, err
}

// orgs measure a [keys.OrgStore].
type orgs struct {
	store keys.OrgStore
	t     *Telemetry
}

func (s orgs) Orgs(ctx context.Context, after string, limit int) ([]string, error) {
	began := time.Now()
	page, err := s.store.Orgs(ctx, after, limit)
	s.t.called(ctx, "orgs", began, err)
	return page, err
}

// batch measures a [keys.BatchStore]. Its time is that of all calls in the batch.
type batch struct {
	store keys.BatchStore
	t     *Telemetry
}

func (s batch) Batch(ctx context.Context, f func(ctx context.Context) error) error {
	began := time.Now()
	err := s.store.Batch(ctx, f)
	s.t.called(ctx, "batch", began, err)
	return err
}

// feed measures a [keys.Feed].
type feed struct {
	store keys.Feed
	t     *Telemetry
}

func (s feed) Announce(ctx context.Context, id string, lease time.Duration) error {
	began := time.Now()
	err := s.store.Announce(ctx, id, lease)
	s.t.called(ctx, "announce", began, err)
	return err
}

func (s feed) Withdraw(ctx context.Context, ids ...string) error {
	began := time.Now()
	err := s.store.Withdraw(ctx, ids...)
	s.t.called(ctx, "withdraw", began, err)
	return err
}

func (s feed) MarkIdle(ctx context.Context, idle time.Duration) ([]string, error) {
	began := time.Now()
	ids, err := s.store.MarkIdle(ctx, idle)
	s.t.called(ctx, "mark_idle", began, err)
	return ids, err
}

func (s feed) Poll(ctx context.Context, id string, after keys.Position) (keys.Changes, error) {
	began := time.Now()
	changes, err := s.store.Poll(ctx, id, after)
	s.t.called(ctx, "poll", began, err)
	return changes, err
}

func (s feed) LongestLease(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	lease, err := s.store.LongestLease(ctx)
	s.t.called(ctx, "longest_lease", began, err)
	return lease, err
}
