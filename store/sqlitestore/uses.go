package sqlitestore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// Lists of IDs are arguments in JSON, so that one statement serves any number of IDs.
const (
	noteUsesText = `INSERT INTO claviger_uses (id, used_at)
SELECT r.id, u.value FROM json_each(?) u CROSS JOIN claviger_records r ON r.id = u.key WHERE true
ON CONFLICT (id) DO UPDATE SET used_at = excluded.used_at WHERE excluded.used_at > used_at`

	lastUsesText = "SELECT u.id, u.used_at FROM json_each(?) i CROSS JOIN claviger_uses u ON u.id = i.value"
)

// NoteUses notes uses, as [keys.UseStore] says: all of them or, if it returns an
// error, none. If a time is before 1970 or after 9999, the error wraps
// [keys.ErrInvalid]. If there are no uses, it writes nothing.
func (s *Store) NoteUses(ctx context.Context, uses map[string]time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	list := make(map[string]int64, len(uses)) // Unix milliseconds
	for id, t := range uses {
		if year := t.UTC().Year(); year < 1970 || year > 9999 {
			return &keys.InvalidError{Field: keys.FieldTime, Reason: "of a use is not between 1970 and 9999"}
		}
		if keys.PossibleID(id) {
			list[id] = t.UnixMilli()
		}
	}
	if len(list) == 0 {
		return nil
	}
	text, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("sqlitestore: %w", err)
	}
	_, err = s.write(ctx, s.stmts.noteUses, string(text))
	return err
}

// LastUses returns the times that were noted, as [keys.UseStore] says.
func (s *Store) LastUses(ctx context.Context, ids []string) (map[string]time.Time, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	list := make([]string, 0, len(ids))
	for _, id := range ids {
		if keys.PossibleID(id) {
			list = append(list, id)
		}
	}
	if len(list) == 0 {
		return map[string]time.Time{}, nil
	}
	text, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("sqlitestore: %w", err)
	}
	uses := make(map[string]time.Time)
	var id string
	var ms int64
	err = s.rows(ctx, s.stmts.lastUses, []any{string(text)}, []any{&id, &ms}, func() error {
		uses[id] = time.UnixMilli(ms).UTC()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return uses, nil
}
