package store

import (
	"context"
	"sync/atomic"
	"time"
)

// A lastUse is when a credential was last used. The zero value stands for never. It
// is read without a lock, and written with its shard locked.
type lastUse struct {
	// Unix milliseconds plus 1<<63: 0 comes before every time.
	since atomic.Uint64
}

const epoch = 1 << 63

// note keeps the later of t and what was noted before.
func (u *lastUse) note(t time.Time) {
	if ms := uint64(t.UnixMilli()) + epoch; ms > u.since.Load() {
		u.since.Store(ms)
	}
}

// copy sets u to o. Nobody else sees u yet.
func (u *lastUse) copy(o *lastUse) { u.since.Store(o.since.Load()) }

// time returns the time, and whether there is one.
func (u *lastUse) time() (time.Time, bool) {
	ms := u.since.Load()
	if ms == 0 {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(ms - epoch)).UTC(), true
}

// NoteUses notes when credentials were used, as [keys.UseStore] says. The zero time
// means never, so nothing is noted for it. The only error is that of ctx. Uses are
// noted one by one: a call of [Memory.LastUses] meanwhile may see some of them.
func (m *Memory) NoteUses(ctx context.Context, uses map[string]time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for id, t := range uses {
		if t.IsZero() {
			continue
		}
		hash, s := m.locate(id)
		s.note(hash, id, t)
	}
	return nil
}

// note notes a use of an ID, unless no entry has it.
func (s *shard) note(hash uint64, id string, t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.get(hash, id); e != nil {
		e.used.note(t)
	}
}

// LastUses returns when credentials were last used, as [keys.UseStore] says, in
// UTC and whole milliseconds. The map is the caller's, and never nil unless
// there is an error, which is that of ctx. LastUses waits for nobody.
func (m *Memory) LastUses(ctx context.Context, ids []string) (map[string]time.Time, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	uses := make(map[string]time.Time, len(ids))
	for _, id := range ids {
		hash, s := m.locate(id)
		if e := s.get(hash, id); e != nil {
			if t, used := e.used.time(); used {
				uses[id] = t
			}
		}
	}
	return uses, nil
}
