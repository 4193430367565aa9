package keys

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"time"
)

const (
	// maxTries bounds how often a change is tried if other processes change the
	// record too, and maxEndings how often a revocation is. Each conflict means
	// that another writer succeeded.
	maxTries   = 32
	maxEndings = 64
	// maxPause bounds the wait before another try of a change. A revocation waits
	// an eighth of that at most, and so gets through a flood of changes.
	maxPause = 32 * time.Millisecond
)

// A Change says what [Manager.Change] changes. If a pointer is nil, the field stays
// as it is.
type Change struct {
	Label     *string
	Scopes    *[]string // all scopes from now on; the always-granted ones are added
	RateLimit *int      // requests per minute; 0 for what the plan gives
	Networks  *Networks // the empty set allows every address
	Metadata  *string
	// Lifetime is how long the credential is good from now on, in whole
	// milliseconds and more than zero; [Forever] takes its end away. It is
	// refused for credentials that have expired, and for keys with a successor.
	Lifetime *time.Duration
	Disabled *bool // whether the credential is paused
	// Version, if not zero, is the version of the record that the caller has seen.
	// If the record has another version by now, the change is refused with
	// ErrConflict.
	Version int64
}

// Change changes a credential, and returns the new record. A Change without any
// field writes nothing. The error wraps
//
//   - [ErrNotFound];
//   - [ErrRevoked] if the credential is revoked;
//   - [ErrExpired] or [ErrReplaced] if a lifetime is refused;
//   - [ErrInvalid], or [scopes.ErrGrant] with a [*scopes.GrantError];
//   - [ErrConflict] if others keep changing the record, or if it does not have the
//     version of the Change;
//   - [ErrUnavailable]; then the change may have been made;
//   - [ErrUnsettled]; then the change was made, and the new record is returned with
//     the error.
func (m *Manager) Change(ctx context.Context, org string, kind Kind, id string, c Change) (Record, error) {
	_, rec, err := m.update(ctx, org, kind, id, false, func(rec *Record) error { return m.apply(rec, c) })
	switch {
	case err == errUnchanged:
		return rec, nil
	case err != nil:
		return Record{}, err
	}
	m.tell(ctx, Changed, &rec)
	return rec, m.everywhere(ctx, nil)
}

// apply makes a change to a record.
func (m *Manager) apply(rec *Record, c Change) error {
	switch {
	case rec.Revoked():
		return ErrRevoked
	case c.Version != 0 && c.Version != rec.Version:
		return ErrConflict
	case c == Change{Version: c.Version}:
		return errUnchanged
	}
	now := whole(time.Now())
	if c.Lifetime != nil {
		if err := prolong(rec, *c.Lifetime, now); err != nil {
			return err
		}
	}
	if c.Scopes != nil {
		granted, err := m.catalog.Grant(*c.Scopes...)
		if err != nil {
			return err
		}
		rec.Scopes = granted
	}
	if c.Disabled != nil && *c.Disabled != rec.Disabled() {
		rec.DisabledAt = time.Time{}
		if *c.Disabled {
			rec.DisabledAt = now
		}
	}
	set(&rec.Label, c.Label)
	set(&rec.RateLimit, c.RateLimit)
	set(&rec.Networks, c.Networks)
	set(&rec.Metadata, c.Metadata)
	return nil
}

// set sets a field to what value points to, if it points to something.
func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// prolong gives a record a new end.
func prolong(rec *Record, d time.Duration, now time.Time) error {
	switch {
	case rec.Expired(now):
		return ErrExpired
	case rec.ReplacedBy != "":
		return ErrReplaced
	case d <= 0 || !wholeLifetime(d):
		return &InvalidError{FieldLifetime, "is not positive, or not in whole milliseconds"}
	}
	rec.ExpiresAt = endAfter(now, d)
	return nil
}

// Revoke ends a credential at once and forever. When it has returned nil, no check
// that starts later, on any node, accepts the credential, or a token if it is a
// client. Revoking again is no error and changes nothing. The error wraps
// [ErrNotFound], [ErrConflict], [ErrUnavailable] or [ErrUnsettled]. With the last
// three the credential may still be good, and the call should be made again.
func (m *Manager) Revoke(ctx context.Context, org string, kind Kind, id string) error {
	_, err := m.revoke(ctx, org, kind, id, nil)
	return m.everywhere(ctx, err) // even if it was revoked before, since that may be a moment ago
}

// revoke revokes a credential, and reports whether this call did it. If check is not
// nil, its error refuses the revocation.
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

// end marks rec as revoked. It returns errUnchanged if rec is revoked already.
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

// revokeRead is revoke for a record that was read just now. It reads the record again
// only if somebody has changed it since.
func (m *Manager) revokeRead(ctx context.Context, rec Record) (revoked bool, err error) {
	old := rec
	if err := end(&rec); err != nil {
		return false, nil
	}
	switch err := m.store.Update(m.updating(ctx, &old, &rec), rec); {
	case err == nil:
		m.tell(ctx, Revoked, &rec)
		return true, nil
	case !errors.Is(err, ErrConflict):
		return false, err
	}
	return m.revoke(ctx, rec.Org, rec.Kind, rec.ID, nil)
}

// RevokeAll revokes every key and every client of org, and with the clients their
// tokens. It repeats until it finds none, so that it includes those that are made
// while it runs. It returns how many it revoked, even with an error. The error wraps
// [ErrInvalid] if no organization can have the name. It wraps [ErrConflict],
// [ErrUnavailable] or [ErrUnsettled] if it should be called again; then it goes on
// where it stopped. It goes on after a record that cannot be revoked.
func (m *Manager) RevokeAll(ctx context.Context, org string) (int, error) {
	for n := 0; ; {
		revoked, err := m.revokeEach(ctx, m.live(ctx, org))
		n += revoked
		if err != nil || revoked == 0 {
			return n, m.everywhere(ctx, err)
		}
	}
}

// live iterates over the keys and clients of org that are not revoked. An error
// ends the iteration.
func (m *Manager) live(ctx context.Context, org string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for _, kind := range [...]Kind{KindKey, KindClient} {
			for rec, err := range m.List(ctx, Query{Org: org, Kind: kind, Live: true, Limit: walkSize}) {
				if !yield(rec, err) || err != nil {
					return
				}
			}
		}
	}
}

// revokeEach revokes records that were read just now, and returns how many it
// revoked. It stops if records cannot be read or the store cannot answer, but goes on
// after a record that cannot be revoked.
func (m *Manager) revokeEach(ctx context.Context, records iter.Seq2[Record, error]) (n int, err error) {
	var failed []error
	for rec, err := range records {
		if err != nil {
			return n, errors.Join(append(failed, err)...)
		}
		revoked, err := m.revokeRead(ctx, rec)
		if revoked {
			n++
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("keys: revoke %q: %w", rec.ID, err))
		}
		if errors.Is(err, ErrUnavailable) {
			break
		}
	}
	return n, errors.Join(failed...)
}

// errUnchanged is what an edit returns if there is nothing to write.
var errUnchanged = errors.New("keys: unchanged")

// update reads a record of org, edits it and writes it. If another writer comes in
// between, it starts again. It returns the record as it was read and as it is now.
// An error of edit is returned as it is, with the record as it was read. If the write
// fails, rec is the record that was to be written. If ends is true, the edit takes
// rights away, and so goes before all other changes.
func (m *Manager) update(ctx context.Context, org string, kind Kind, id string, ends bool, edit func(*Record) error) (old, rec Record, err error) {
	tries, pause := maxTries, maxPause
	if ends {
		tries, pause = maxEndings, maxPause/8
		defer m.queue.end(org, id)()
	} else {
		defer m.queue.change(ctx, org, id)()
	}
	for try := 1; ; try++ {
		if old, err = m.Get(ctx, org, kind, id); err != nil {
			return old, Record{}, err
		}
		rec = old
		if err = edit(&rec); err != nil {
			return old, old, err
		}
		if err = m.write(ctx, &old, &rec); err == nil || try == tries || !errors.Is(err, ErrConflict) {
			return old, rec, err
		}
		if ended := wait(ctx, min(pause, time.Millisecond<<min(try, 10))); ended != nil {
			return old, rec, ended
		}
	}
}

// write writes rec over old, the version that it was read as.
func (m *Manager) write(ctx context.Context, old, rec *Record) error {
	if err := rec.Validate(); err != nil {
		return err
	}
	if err := m.store.Update(m.updating(ctx, old, rec), *rec); err != nil {
		return err
	}
	rec.Version++
	return nil
}

// wait waits for a random time up to most. If ctx ends meanwhile, it returns an
// error that wraps ErrUnavailable.
func wait(ctx context.Context, most time.Duration) error {
	var b [1]byte
	rand.Read(b[:])
	t := time.NewTimer(most * time.Duration(b[0]) / 255)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return unavailable(ctx, ctx.Err())
	}
}
