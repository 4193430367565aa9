package keys

// Next returns the record that [Store.Update] puts in the place of old when it
// is called with r. It makes every decision of an Update, so that a store is a
// read, this call and a write; what the store adds is that nobody else writes in
// between.
//
// The ID, kind, organization, parent, environment, CreatedBy, Replaces and
// CreatedAt are those of old, whatever r says; all other fields are those of r;
// and the version is that of r plus one. The error is that of [Record.Validate],
// or is [ErrNotFound] if old has another ID or organization, and [ErrConflict] if
// it has another version or was revoked and r is not, or only later.
func Next(old, r Record) (Record, error) {
	if err := r.Validate(); err != nil {
		return Record{}, err
	}
	switch {
	case old.ID != r.ID || old.Org != r.Org:
		return Record{}, ErrNotFound
	case old.Version != r.Version:
		return Record{}, ErrConflict
	case old.Revoked() && (!r.Revoked() || r.RevokedAt.After(old.RevokedAt)):
		return Record{}, ErrConflict
	}
	r.Kind, r.Parent, r.Environment = old.Kind, old.Parent, old.Environment
	r.CreatedBy, r.Replaces, r.CreatedAt = old.CreatedBy, old.Replaces, old.CreatedAt
	r.Version++
	if err := r.Validate(); err != nil {
		return Record{}, err // it has what only another kind can have, or had its last version
	}
	return r, nil
}
