package pgstore

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// NoteUses notes when credentials were last used, as [keys.UseStore] says, all
// of them in one statement. It returns an error that wraps [keys.ErrInvalid], and
// notes nothing, if a time is not between 1970 and 9999.
func (s *Store) NoteUses(ctx context.Context, uses map[string]time.Time) error {
	ids := make([]string, 0, len(uses))
	times := make([]int64, 0, len(uses))
	for _, id := range slices.Sorted(maps.Keys(uses)) {
		t := uses[id]
		if year := t.UTC().Year(); year < 1970 || year > 9999 {
			return &keys.InvalidError{Field: keys.FieldTime, Reason: "of a use is not between 1970 and 9999"}
		}
		if keys.PossibleID(id) {
			ids = append(ids, id)
			times = append(times, t.UnixMilli())
		}
	}
	if err := ctx.Err(); err != nil {
		return failed("note uses", err)
	}
	if len(ids) == 0 {
		return nil
	}
	err := s.run(ctx, func(db DB) error {
		_, err := db.Exec(ctx, s.sql.noteUses, s.args(ids, times)...)
		return err
	})
	if err != nil {
		return failed("note uses", err)
	}
	return nil
}

// LastUses returns when credentials were last used, as [keys.UseStore] says, in
// one round trip. The map is not nil unless there is an error. A standby answers too;
// the times may then be old.
func (s *Store) LastUses(ctx context.Context, ids []string) (map[string]time.Time, error) {
	if err := ctx.Err(); err != nil {
		return nil, failed("last uses", err)
	}
	possible := make([]string, 0, len(ids))
	for _, id := range ids {
		if keys.PossibleID(id) {
			possible = append(possible, id)
		}
	}
	uses := make(map[string]time.Time, len(possible))
	if len(possible) == 0 {
		return uses, nil
	}
	err := s.read(ctx, func(db DB) error {
		clear(uses)
		rows, err := db.Query(ctx, s.sql.lastUses, s.args(possible)...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			var at int64
			if err := rows.Scan(&id, &at); err != nil {
				return err
			}
			uses[id] = time.UnixMilli(at).UTC()
		}
		return rows.Err()
	})
	if err != nil {
		return nil, failed("last uses", err)
	}
	return uses, nil
}
