package keys

import (
	"context"
	"errors"
)

// RevokeDescendants revokes a key or a client and everything that was made by
// it, by what it made, and so on. It repeats until it finds none, so that those
// are included which are made while it runs. It returns how many it revoked,
// also beside an error, after which it should be called again. A principal ends
// nothing whose scopes it lacks: then the error wraps [ErrBeyond], and nothing
// was done. The other errors are those of [Actor.Revoke].
func (a Actor) RevokeDescendants(ctx context.Context, kind Kind, id string) (int, error) {
	p, err := a.m.look(ctx, a.p)
	if err != nil {
		return 0, err
	}
	return a.m.revokeDescendants(ctx, p.Org, kind, id, func(rec *Record) error { return a.m.holds(&p, rec.Scopes) })
}

// RevokeDescendants is [Actor.RevokeDescendants] for the host itself.
func (m *Manager) RevokeDescendants(ctx context.Context, org string, kind Kind, id string) (int, error) {
	return m.revokeDescendants(ctx, org, kind, id, func(*Record) error { return nil })
}

func (m *Manager) revokeDescendants(ctx context.Context, org string, kind Kind, id string, check func(*Record) error) (n int, err error) {
	root, err := m.Get(ctx, org, kind, id)
	if err != nil {
		return 0, err
	}
	family := lineage{m: m, org: org, inside: map[string]bool{id: true}}
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
		for _, rec := range made {
			revoked, err := m.revokeRead(ctx, rec)
			if err != nil {
				return n, err
			}
			if revoked {
				n++
			}
		}
		if made, err = family.live(ctx); err != nil || len(made) == 0 {
			return n, err
		}
	}
}

// A lineage finds what descends from one credential.
type lineage struct {
	m      *Manager
	org    string
	inside map[string]bool // by ID, whether a credential descends from the root
}

// live returns the live keys and clients that descend from the root.
func (l *lineage) live(ctx context.Context) (found []Record, err error) {
	for _, kind := range []Kind{KindKey, KindClient} {
		for rec, err := range l.m.List(ctx, Query{Org: l.org, Kind: kind, Live: true}) {
			if err != nil {
				return nil, err
			}
			below, err := l.below(ctx, rec.CreatedBy)
			if err != nil {
				return nil, err
			}
			if below {
				found = append(found, rec)
			}
		}
	}
	return found, nil
}

// below reports whether the credential with an ID is the root or descends from
// it. It follows the line upward, through revoked ones too.
func (l *lineage) below(ctx context.Context, id string) (bool, error) {
	var line []string
	known, below := false, false
	for id != "" {
		if below, known = l.inside[id]; known {
			break
		}
		l.inside[id] = false // ends a line that leads back to itself
		line = append(line, id)
		rec, err := l.m.Get(ctx, l.org, "", id)
		if err != nil && !errors.Is(err, ErrNotFound) {
			for _, id := range line {
				delete(l.inside, id)
			}
			return false, err
		}
		id = rec.CreatedBy
	}
	for _, id := range line {
		l.inside[id] = below
	}
	return below, nil
}
