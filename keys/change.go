package keys

import (
	"context"
	"crypto/rand"
	"errors"
	"time"
)

const (
	// maxTries bounds how often a change is tried again after a conflict with
	// another process, and maxEndings how often an ending is. Each conflict
	// means that another writer got through.
	maxTries   = 32
	maxEndings = 64
	// maxPause bounds the wait before another try of a change. An ending waits
	// an eighth of that at most, and so gets through a flood of changes.
	maxPause = 32 * time.Millisecond
)

// A Change says what [Manager.Change] changes. Nil fields stay as they are.
type Change struct {
	Label     *string
	Scopes    *[]string // names to hold from now on, besides the always-granted ones
	RateLimit *int      // requests per minute; 0 for what the plan gives
	Networks  *Networks // the empty set for all
	Metadata  *string
	// Lifetime is how long the credential is good from now on, in whole
	// milliseconds and more than zero; [Forever] takes its end away. It is
	// refused for credentials that have expired, and for keys with a successor.
	Lifetime *time.Duration
	Disabled *bool // whether the credential is paused
}

// Change changes a credential, and returns the new record. The error wraps
// [ErrNotFound], [ErrRevoked], [ErrExpired] or [ErrReplaced] (of a new
// lifetime), [ErrInvalid] or [ErrConflict] (if the record keeps being changed by
// others), is a [*scopes.GrantError], or is the store's.
func (m *Manager) Change(ctx context.Context, org string, kind Kind, id string, c Change) (Record, error) {
	_, rec, err := m.update(ctx, org, kind, id, false, func(rec *Record) error { return m.apply(rec, c) })
	if err == nil {
		m.tell(ctx, Changed, &rec)
	}
	return rec, err
}

// apply makes a change to a record.
func (m *Manager) apply(rec *Record, c Change) error {
	now := whole(time.Now())
	if rec.Revoked() {
		return ErrRevoked
	}
	if c.Label != nil {
		rec.Label = *c.Label
	}
	if c.RateLimit != nil {
		rec.RateLimit = *c.RateLimit
	}
	if c.Scopes != nil {
		granted, err := m.catalog.Grant(*c.Scopes...)
		if err != nil {
			return err
		}
		rec.Scopes = granted
	}
	if c.Networks != nil {
		rec.Networks = *c.Networks
	}
	if c.Metadata != nil {
		rec.Metadata = *c.Metadata
	}
	if c.Disabled != nil && *c.Disabled != rec.Disabled() {
		rec.DisabledAt = time.Time{}
		if *c.Disabled {
			rec.DisabledAt = now
		}
	}
	if c.Lifetime != nil {
		switch {
		case rec.Expired(now):
			return ErrExpired
		case rec.ReplacedBy != "":
			return ErrReplaced
		case *c.Lifetime <= 0 || *c.Lifetime != Forever && *c.Lifetime%time.Millisecond != 0:
			return &InvalidError{FieldLifetime, "is not positive, or not in whole milliseconds"}
		case *c.Lifetime == Forever:
			rec.ExpiresAt = time.Time{}
		default:
			rec.ExpiresAt = whole(now.Add(*c.Lifetime))
		}
	}
	return nil
}

// Revoke ends a credential at once and forever. When it has returned nil, no
// check that starts later, on any node, accepts the credential or a token of
// it. Revoking again is no error and changes nothing. The error wraps
// [ErrNotFound] or [ErrConflict], or is the store's; then the credential may
// still be good, and the call should be made again.
func (m *Manager) Revoke(ctx context.Context, org string, kind Kind, id string) error {
	_, err := m.revoke(ctx, org, kind, id, nil)
	return err
}

// revoke reports whether it was this call that revoked the credential. Check, if
// not nil, can refuse.
func (m *Manager) revoke(ctx context.Context, org string, kind Kind, id string, check func(*Record) error) (revoked bool, err error) {
	_, rec, err := m.update(ctx, org, kind, id, true, func(rec *Record) error {
		if check != nil {
			if err := check(rec); err != nil {
				return err
			}
		}
		return end(rec)
	})
	if err == errUnchanged {
		return false, nil
	}
	if err == nil {
		m.tell(ctx, Revoked, &rec)
	}
	return err == nil, err
}

// end makes rec revoked.
func end(rec *Record) error {
	if rec.Revoked() {
		return errUnchanged
	}
	// A clock that is behind that of the node which made the record must not
	// date the end before the beginning.
	rec.RevokedAt = whole(time.Now())
	if rec.RevokedAt.Before(rec.CreatedAt) {
		rec.RevokedAt = rec.CreatedAt
	}
	return nil
}

// revokeRead is revoke for a record that was read just now, which spares reading
// it again unless somebody has changed it since.
func (m *Manager) revokeRead(ctx context.Context, rec Record) (revoked bool, err error) {
	if err := end(&rec); err != nil {
		return false, nil
	}
	switch err := m.store.Update(ctx, rec); {
	case err == nil:
		m.tell(ctx, Revoked, &rec)
		return true, nil
	case !errors.Is(err, ErrConflict):
		return false, err
	}
	return m.revoke(ctx, rec.Org, rec.Kind, rec.ID, nil)
}

// RevokeAll revokes every key and every client of org, and with the clients
// their tokens. It repeats until it finds none, so that those are included which
// are made while it runs. It returns how many it revoked, also beside an error,
// after which it should be called again, and goes on where it stopped.
func (m *Manager) RevokeAll(ctx context.Context, org string) (int, error) {
	for n := 0; ; {
		revoked, err := m.revokeLive(ctx, org)
		n += revoked
		if err != nil || revoked == 0 {
			return n, err
		}
	}
}

// revokeLive is one pass of RevokeAll.
func (m *Manager) revokeLive(ctx context.Context, org string) (n int, err error) {
	for _, kind := range []Kind{KindKey, KindClient} {
		for rec, err := range m.List(ctx, Query{Org: org, Kind: kind, Live: true}) {
			if err != nil {
				return n, err
			}
			revoked, err := m.revokeRead(ctx, rec)
			if err != nil {
				return n, err
			}
			if revoked {
				n++
			}
		}
	}
	return n, nil
}

// errUnchanged is what an edit returns to leave a record as it is.
var errUnchanged = errors.New("keys: unchanged")

// update reads a record of org, edits it and writes it, and starts anew if
// another writer came in between. It returns the record as it was read and as it
// is now. An error of edit is returned as it is, with the record as it was read.
// Ends says that the edit ends the credential: then it goes before all others.
func (m *Manager) update(ctx context.Context, org string, kind Kind, id string, ends bool, edit func(*Record) error) (old, rec Record, err error) {
	tries, pause := maxTries, maxPause
	if ends {
		tries, pause = maxEndings, maxPause/8
		defer m.queue.end(id)()
	} else {
		defer m.queue.change(ctx, id)()
	}
	for try := 1; ; try++ {
		if old, err = m.Get(ctx, org, kind, id); err != nil {
			return old, rec, err
		}
		rec = old
		if err = edit(&rec); err != nil {
			return old, old, err
		}
		if err = m.write(ctx, &rec); err == nil || try == tries || !errors.Is(err, ErrConflict) {
			return old, rec, err
		}
		if wait(ctx, min(pause, time.Millisecond<<min(try, 10))) != nil {
			return old, rec, err
		}
	}
}

// write writes rec over the version that it was read as.
func (m *Manager) write(ctx context.Context, rec *Record) error {
	if err := rec.Validate(); err != nil {
		return err
	}
	if err := m.store.Update(ctx, *rec); err != nil {
		return err
	}
	rec.Version++
	return nil
}

// wait waits for a random time up to most, or until ctx ends, whose error it
// returns.
func wait(ctx context.Context, most time.Duration) error {
	var b [1]byte
	rand.Read(b[:])
	t := time.NewTimer(most * time.Duration(b[0]) / 255)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
