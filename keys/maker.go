package keys

import (
	"context"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/scopes"
)

// A maker is a principal as it is now, and the end of its lasting credential.
type maker struct {
	Principal
	ends time.Time // the zero time is never
}

// Recheck returns the principal as it is now. It is for handlers in which time passes
// between the check of a request and its effect, as while they read a body. Somebody
// who holds the body back must not act with rights that were taken away meanwhile. A
// principal without a Kind, which is a session of the host, is returned as it is. The
// error is [ErrCallerEnded] or wraps [ErrUnavailable].
func (m *Manager) Recheck(ctx context.Context, p Principal) (Principal, error) {
	now, err := m.look(ctx, p)
	return now.Principal, err
}

// look is Recheck, and also returns the end of the lasting credential.
func (m *Manager) look(ctx context.Context, p Principal) (maker, error) {
	if p.Kind == "" {
		return maker{Principal: p}, nil
	}
	var buf, parentBuf Record
	// Not from a cache, since what is read here decides what is written.
	rec, parent, err := &buf, &parentBuf, m.verifier.read(ctx, p.ID, &buf, &parentBuf)
	if err == ErrUnknown {
		err = ErrCallerEnded
	}
	if err != nil {
		return maker{}, err
	}
	return m.standing(ctx, &p, rec, parent)
}

// standing is look for a record that was read, and its parent.
func (m *Manager) standing(ctx context.Context, p *Principal, rec, parent *Record) (maker, error) {
	now := time.Now()
	if rec.Org != p.Org || rec.Kind != p.Kind || rec.Revoked() || rec.Expired(now) || rec.Disabled() {
		return maker{}, ErrCallerEnded
	}
	var found maker
	err := m.verifier.fill(ctx, &found.Principal, rec, parent, now)
	if err == ErrRevoked || err == ErrPaused {
		err = ErrCallerEnded
	}
	if err != nil {
		return maker{}, err
	}
	if found.ends = rec.ExpiresAt; rec.Kind == KindToken {
		found.ends = parent.ExpiresAt
	}
	return found, nil
}

// name returns the CreatedBy of what a principal makes.
func (p *Principal) name() string {
	switch {
	case p.Kind != "":
		return p.LastingID()
	case strings.Contains(p.ID, ":"):
		return p.ID
	}
	return "host:" + p.ID
}

// holds returns a BeyondError if the principal lacks a scope of the set, except for
// the always-granted ones.
func (m *Manager) holds(p *maker, set scopes.Set) error {
	if !p.Scopes.Union(m.catalog.Always()).ContainsAll(set) {
		return &BeyondError{FieldScopes}
	}
	return nil
}

// covers returns a BeyondError if the record has more than the principal.
func (m *Manager) covers(ctx context.Context, p *maker, rec *Record) error {
	if err := m.holds(p, rec.Scopes); err != nil {
		return err
	}
	if err := m.affords(ctx, p, rec); err != nil {
		return err
	}
	switch {
	case !p.Networks.Covers(rec.Networks):
		return &BeyondError{FieldNetworks}
	case !m.reaches(p, m.environment(rec)):
		return &BeyondError{FieldEnvironment}
	}
	return nil
}

// affords returns a BeyondError if the principal's limit is lower than the record's.
func (m *Manager) affords(ctx context.Context, p *maker, rec *Record) error {
	limit, err := m.limit(ctx, rec.Org, rec.RateLimit)
	if err == nil && limit > p.RateLimit {
		err = &BeyondError{FieldRateLimit}
	}
	return err
}

// reaches reports whether the principal may make something in an environment.
func (m *Manager) reaches(p *maker, environment string) bool {
	all := m.key.Environments()
	return p.Environment == "" || len(all) == 0 || p.Environment == all[0] || p.Environment == environment
}

// withinLife returns a BeyondError if the record ends later than the principal.
func withinLife(p *maker, rec *Record) error {
	if !earlier(rec.ExpiresAt, p.ends).Equal(rec.ExpiresAt) {
		return &BeyondError{FieldLifetime}
	}
	return nil
}

// mayHaveMade returns a BeyondError unless the principal may have made the credential
// of a record.
func (m *Manager) mayHaveMade(ctx context.Context, p *maker, rec *Record) error {
	if err := m.covers(ctx, p, rec); err != nil {
		return err
	}
	return withinLife(p, rec)
}

// permits returns a BeyondError unless the principal may make the change c, which
// leads from before to rec.
func (m *Manager) permits(ctx context.Context, p *maker, before, rec *Record, c Change) error {
	if !m.reaches(p, m.environment(rec)) {
		more, err := m.widens(ctx, before, rec)
		if err == nil && more {
			err = &BeyondError{FieldEnvironment}
		}
		if err != nil {
			return err
		}
	}
	if c.Lifetime != nil {
		if err := withinLife(p, rec); err != nil {
			return err
		}
	}
	if c.Disabled != nil && !*c.Disabled {
		return m.covers(ctx, p, rec)
	}
	if c.Scopes != nil {
		if err := m.holds(p, rec.Scopes); err != nil {
			return err
		}
	}
	if c.Networks != nil && !p.Networks.Covers(rec.Networks) {
		return &BeyondError{FieldNetworks}
	}
	if c.RateLimit != nil {
		return m.affords(ctx, p, rec)
	}
	return nil
}

// widens reports whether a change gives a credential more than it had: a scope, an
// address, a higher limit or a later end.
func (m *Manager) widens(ctx context.Context, before, after *Record) (bool, error) {
	if !before.Scopes.ContainsAll(after.Scopes) || !before.Networks.Covers(after.Networks) ||
		!earlier(before.ExpiresAt, after.ExpiresAt).Equal(after.ExpiresAt) {
		return true, nil
	}
	if before.RateLimit == after.RateLimit {
		return false, nil
	}
	was, err := m.limit(ctx, before.Org, before.RateLimit)
	if err != nil {
		return false, err
	}
	now, err := m.limit(ctx, after.Org, after.RateLimit)
	return now > was, err
}

// recordOf returns the record of a credential that the principal makes.
func (m *Manager) recordOf(ctx context.Context, p *maker, spec Spec) (Record, error) {
	if spec.Kind == KindClient && spec.Scopes == nil {
		spec.Scopes = p.Scopes.Intersect(m.catalog.Grantable()).Names()
	}
	if spec.Environment == "" {
		spec.Environment = p.Environment
	}
	if spec.Networks.IsEmpty() {
		spec.Networks = p.Networks
	}
	spec.CreatedBy = p.name()
	rec, err := m.record(p.Org, spec)
	if err != nil {
		return Record{}, err
	}
	if spec.RateLimit == 0 {
		if rec.RateLimit, err = m.figure(ctx, p); err != nil {
			return Record{}, err
		}
	}
	rec.ExpiresAt = earlier(rec.ExpiresAt, p.ends)
	return rec, m.covers(ctx, p, &rec)
}

// withinCap returns ErrLimitReached if an organization has more keys or clients than
// it may have. The new one is in the store already, so of several that are made at
// once each counts all the others, and there is never one too many.
func (m *Manager) withinCap(ctx context.Context, rec *Record) error {
	most := m.caps[rec.Kind]
	if most < 0 {
		return nil
	}
	n, err := m.Count(ctx, rec.Org, rec.Kind, most+1)
	if err != nil {
		return err
	}
	if n > most {
		return ErrLimitReached
	}
	return nil
}
