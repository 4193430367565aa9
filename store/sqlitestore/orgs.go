package sqlitestore

import (
	"context"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

const (
	// countText reads only entries of an index, and no more than it counts.
	countText = `SELECT count(*) FROM (
	SELECT 1 FROM claviger_records INDEXED BY claviger_records_in_use
	WHERE org = ?1 AND kind = ?2 AND revoked_at IS NULL AND expires_at IS NULL
	UNION ALL
	SELECT 1 FROM claviger_records INDEXED BY claviger_records_in_use
	WHERE org = ?1 AND kind = ?2 AND revoked_at IS NULL AND expires_at > ?3
	LIMIT ?4)`

	// orgsText goes from each organization directly to the next one in an index.
	orgsText = `WITH RECURSIVE orgs (org) AS (
	SELECT min(org) FROM claviger_records WHERE org > ?1
	UNION ALL
	SELECT (SELECT min(org) FROM claviger_records WHERE org > orgs.org) FROM orgs WHERE org IS NOT NULL)
SELECT org FROM orgs WHERE org IS NOT NULL LIMIT ?2`
)

// Count returns how many records are neither revoked nor expired, as
// [keys.CountStore] says. It reads no more than it counts, and stops at the number most.
func (s *Store) Count(ctx context.Context, org string, kind keys.Kind, now time.Time, most int) (n int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := (keys.Query{Org: org, Kind: kind, Limit: most}).Validate(); err != nil {
		return 0, err
	}
	err = s.patiently(s.until(), func() error {
		return s.stmts.count.QueryRowContext(ctx, org, string(kind), floorMillis(now), most).Scan(&n)
	})
	return n, err
}

// Orgs lists organizations, as [keys.OrgStore] says. It reads no more of the
// records than one for each organization. The error wraps [keys.ErrInvalid] if
// after is not valid text or limit is less than 1.
func (s *Store) Orgs(ctx context.Context, after string, limit int) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// The rules are those of a list.
	if err := (keys.Query{Org: "any", Kind: keys.KindKey, After: after, Limit: limit}).Validate(); err != nil {
		return nil, err
	}
	var orgs []string
	var org string
	err := s.rows(ctx, s.stmts.orgs, []any{after, limit}, []any{&org}, func() error {
		orgs = append(orgs, org)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return orgs, nil
}
