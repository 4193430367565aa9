package keys

import (
	"context"
	"time"

	"github.com/claviger-auth/claviger/scopes"
)

// IssueToken makes an access token for a client, whose record was read just now. The
// token is good for the given lifetime, but no longer than the client. It gets the
// given scopes and the always-granted ones. When it is used, it never permits more
// than the client does at that moment. The error is [ErrRevoked], [ErrExpired] or
// [ErrPaused], or wraps [ErrInvalid] or [ErrUnavailable].
func (m *Manager) IssueToken(ctx context.Context, client Record, granted scopes.Set, lifetime time.Duration) (Issued, error) {
	return m.IssueTokenAt(ctx, &client, granted, lifetime, time.Now())
}

// IssueTokenAt is like [Manager.IssueToken], for callers that have read the clock
// already. It neither changes nor keeps the client's record.
func (m *Manager) IssueTokenAt(ctx context.Context, client *Record, granted scopes.Set, lifetime time.Duration, now time.Time) (issued Issued, err error) {
	now = whole(now)
	switch {
	case client.Kind != KindClient:
		return Issued{}, &InvalidError{FieldParent, "is not a client"}
	case client.Revoked():
		return Issued{}, ErrRevoked
	case client.Expired(now):
		return Issued{}, ErrExpired
	case client.Disabled():
		return Issued{}, ErrPaused
	case lifetime < time.Millisecond:
		return Issued{}, &InvalidError{FieldLifetime, "is less than a millisecond"}
	}
	end := whole(now.Add(lifetime))
	if !client.ExpiresAt.IsZero() && client.ExpiresAt.Before(end) {
		end = client.ExpiresAt
	}
	issued.Record = Record{
		Kind: KindToken, Org: client.Org, Parent: client.ID, Scopes: granted.Union(m.catalog.Always()), RateLimit: client.RateLimit,
		CreatedAt: now, ExpiresAt: end, Version: 1,
	}
	if err := m.complete(ctx, &issued); err != nil {
		return Issued{}, err
	}
	return issued, nil
}
