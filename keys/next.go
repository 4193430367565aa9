package keys

// Next returns the record with which [Store.Update] replaces old when it is called
// with r. It makes every decision of an Update. A store only reads old, calls Next
// and writes the result, and sees to it that nobody else writes in between.
//
// The kind, parent, environment, CreatedBy, Replaces and CreatedAt are those of old.
// The version is that of r plus one. All other fields are those of r. The error is
// that of [Record.Validate], [ErrNotFound] if old has another ID or organization, or
// [ErrConflict] if old has another version. It is [ErrConflict] too if r would undo
// the revocation of old, or move it to a later time.
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
		return Record{}, err // r has fields that the kind of old cannot have, or the last version
	}
	return r, nil
}
