package keys

import (
	"context"
	"errors"
	"iter"
)

// RevokeDescendants revokes a key or a client, and everything that was made by it, by
// what it made, and so on. It repeats until it finds none, so that it includes those
// that are made while it runs. It returns how many it revoked, even with an error. If
// the principal lacks a scope of one of them, the error wraps [ErrBeyond], and nothing
// was done. Otherwise the error wraps [ErrCallerEnded], [ErrNotFound], [ErrConflict],
// [ErrUnavailable] or [ErrUnsettled]. With the last three it should be called again,
// and goes on where it stopped.
func (a Actor) RevokeDescendants(ctx context.Context, kind Kind, id string) (_ int, err error) {
	defer func() { a.refused(ctx, id, err) }()
	ctx = a.m.by(ctx, a.p.name())
	p, err := a.m.look(ctx, a.p)
	if err != nil {
		return 0, err
	}
	n, err := a.m.revokeDescendants(ctx, p.Org, kind, id, func(rec *Record) error { return a.m.holds(&p, rec.Scopes) })
	return n, a.m.everywhere(ctx, err)
}

// RevokeDescendants is like [Actor.RevokeDescendants], for the host itself, which may
// end everything.
func (m *Manager) RevokeDescendants(ctx context.Context, org string, kind Kind, id string) (int, error) {
	n, err := m.revokeDescendants(ctx, org, kind, id, func(*Record) error { return nil })
	return n, m.everywhere(ctx, err)
}

func (m *Manager) revokeDescendants(ctx context.Context, org string, kind Kind, id string, check func(*Record) error) (n int, err error) {
	root, err := m.Get(ctx, org, kind, id)
	if err != nil {
		return 0, err
	}
	family := m.lineageOf(org, id)
	made, err := family.live(ctx)
	if err != nil {
		return 0, err
	}
	for _, rec := range append(made, root) {
		if err := check(&rec); err != nil {
			return 0, err
		}
	}
	revoked, err := m.revoke(ctx, org, kind, id, nil)
	if err != nil {
		return 0, err
	}
	if revoked {
		n++
	}
	for {
		more, err := m.revokeEach(ctx, each(made))
		if n += more; err != nil {
			return n, err
		}
		if made, err = family.live(ctx); err != nil || len(made) == 0 {
			return n, err
		}
	}
}

// Descendants returns the keys and clients that [Manager.RevokeDescendants] would
// revoke with a key or a client: those that are not revoked, and were made by it, by
// what it made, and so on. It reads all keys and clients of org that are not revoked.
// The error wraps [ErrNotFound] or [ErrUnavailable].
func (m *Manager) Descendants(ctx context.Context, org string, kind Kind, id string) ([]Record, error) {
	if _, err := m.Get(ctx, org, kind, id); err != nil {
		return nil, err
	}
	return m.lineageOf(org, id).live(ctx)
}

// each iterates over records, without an error.
func each(records []Record) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for _, rec := range records {
			if !yield(rec, nil) {
				return
			}
		}
	}
}

// A lineage finds what descends from one credential.
type lineage struct {
	m      *Manager
	org    string
	makers map[string]string // the maker of each credential that was read, by ID
	inside map[string]bool   // whether a credential descends from the root, by ID
}

func (m *Manager) lineageOf(org, id string) *lineage {
	return &lineage{m: m, org: org, makers: make(map[string]string), inside: map[string]bool{id: true}}
}

// live returns the live keys and clients that descend from the root.
func (l *lineage) live(ctx context.Context) (found []Record, err error) {
	for rec, err := range l.m.live(ctx, l.org) {
		if err != nil {
			return nil, err
		}
		l.makers[rec.ID] = rec.CreatedBy
		if rec.CreatedBy != "" {
			found = append(found, rec)
		}
	}
	// All live makers are known now, so only revoked ones are still read.
	kept := found[:0]
	for _, rec := range found {
		below, err := l.below(ctx, rec.CreatedBy)
		if err != nil {
			return nil, err
		}
		if below {
			kept = append(kept, rec)
		}
	}
	return kept, nil
}

// below reports whether the credential with an ID is the root or descends from it.
// It follows the makers upward, revoked ones too.
func (l *lineage) below(ctx context.Context, id string) (below bool, err error) {
	var line []string
	for id != "" {
		known := false
		if below, known = l.inside[id]; known {
			break
		}
		l.inside[id] = false // so that a line that leads back to itself ends
		line = append(line, id)
		if id, err = l.maker(ctx, id); err != nil {
			break
		}
	}
	for _, id := range line {
		l.inside[id] = below
	}
	return below, err
}

// maker returns CreatedBy of the credential with an ID, or "" if there is no such
// credential.
func (l *lineage) maker(ctx context.Context, id string) (string, error) {
	if by, known := l.makers[id]; known {
		return by, nil
	}
	rec, err := l.m.Get(ctx, l.org, "", id)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return "", err
	}
	l.makers[id] = rec.CreatedBy
	return rec.CreatedBy, nil
}
