package keys

import "context"

// undo takes back the change of a record from before to after. Only the fields that
// the change touched get the values that they had before. If somebody has changed such
// a field again since, it is narrowed to what it had before: the later change may rest
// on the rights that have ended.
func (m *Manager) undo(ctx context.Context, before, after *Record) error {
	_, rec, err := m.update(takingBack(ctx), before.Org, before.Kind, before.ID, true, func(rec *Record) error {
		m.takeOut(rec, before, after)
		return nil
	})
	if err != nil {
		return err
	}
	m.tell(ctx, Changed, &rec)
	return nil
}

// takeOut takes the change from before to after out of rec.
func (m *Manager) takeOut(rec, before, after *Record) {
	revert(&rec.Label, before.Label, after.Label)
	revert(&rec.Metadata, before.Metadata, after.Metadata)
	revert(&rec.ReplacedBy, before.ReplacedBy, after.ReplacedBy)
	if rec.Digest == after.Digest {
		rec.Digest, rec.Previous, rec.PreviousExpiresAt = before.Digest, before.Previous, before.PreviousExpiresAt
	}
	if !before.DisabledAt.Equal(after.DisabledAt) && rec.DisabledAt.Equal(after.DisabledAt) {
		rec.DisabledAt = before.DisabledAt
	}
	if before.Scopes != after.Scopes {
		revert(&rec.Scopes, before.Scopes, after.Scopes)
		rec.Scopes = rec.Scopes.Intersect(before.Scopes)
	}
	if before.Networks != after.Networks {
		revert(&rec.Networks, before.Networks, after.Networks)
		if !before.Networks.Covers(rec.Networks) {
			rec.Networks = before.Networks
		}
	}
	if before.RateLimit != after.RateLimit {
		revert(&rec.RateLimit, before.RateLimit, after.RateLimit)
		if before.RateLimit != 0 {
			rec.RateLimit = lower(rec.RateLimit, before.RateLimit)
		} else if m.plan == nil && rec.RateLimit > m.rateLimit {
			rec.RateLimit = 0
		}
	}
	if !before.ExpiresAt.Equal(after.ExpiresAt) {
		if rec.ExpiresAt.Equal(after.ExpiresAt) {
			rec.ExpiresAt = before.ExpiresAt
		}
		rec.ExpiresAt = earlier(rec.ExpiresAt, before.ExpiresAt)
	}
}

// revert sets a field back to before if it still has the value after.
func revert[T comparable](field *T, before, after T) {
	if *field == after {
		*field = before
	}
}
