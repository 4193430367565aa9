// Package customstore is a store of one's own: a folder of JSON files, one for
// each record. It is meant to be read and copied. Records are durable; they
// belong to one process. Limits stay in memory.
//
// The methods do what the comments of keys.Store ask for, clause by clause,
// and the test of this package has storetest check that they do.
package customstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
)

// A Dir is a store over a folder. It is safe for concurrent use by one process.
type Dir struct {
	ratelimit.Memory // limits: Take comes from here

	path string
	mu   sync.RWMutex // held to write
}

// Open returns a store over the folder at path, which it makes if need be.
func Open(path string) (*Dir, error) {
	return &Dir{path: path}, os.MkdirAll(path, 0o700)
}

// Insert adds a record. A link to a name that is taken fails, and there is
// never a moment at which the file is there and not whole.
func (d *Dir) Insert(ctx context.Context, r keys.Record) error {
	if err := errors.Join(ctx.Err(), r.Validate()); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	temp, err := d.write(r)
	if err != nil {
		return err
	}
	defer os.Remove(temp)
	if err := os.Link(temp, d.file(r.ID)); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %q", keys.ErrExists, r.ID)
	} else if err != nil {
		return err
	}
	return d.sync()
}

// Get returns a record.
func (d *Dir) Get(ctx context.Context, id string) (keys.Record, error) {
	if err := ctx.Err(); err != nil {
		return keys.Record{}, err
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.read(d.file(id))
}

// Update replaces a record if nobody else has done so since it was read.
func (d *Dir) Update(ctx context.Context, r keys.Record) error {
	if err := errors.Join(ctx.Err(), r.Validate()); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	old, err := d.read(d.file(r.ID))
	switch {
	case err != nil:
		return err
	case old.Org != r.Org:
		return keys.ErrNotFound
	case old.Version != r.Version:
		return keys.ErrConflict
	case old.Revoked() && (!r.Revoked() || r.RevokedAt.After(old.RevokedAt)):
		return keys.ErrConflict
	}
	r.Kind, r.Parent, r.CreatedAt = old.Kind, old.Parent, old.CreatedAt
	if err := r.Validate(); err != nil {
		return err // it has what only another kind can have
	}
	r.Version++
	temp, err := d.write(r)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, d.file(r.ID)); err != nil {
		return err
	}
	return d.sync()
}

// List returns records of one organization and kind, in the order of their
// IDs. It reads every file: a store for more than a few thousand records keeps
// an index.
func (d *Dir) List(ctx context.Context, q keys.Query) ([]keys.Record, error) {
	if err := errors.Join(ctx.Err(), q.Validate()); err != nil {
		return nil, err
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	found, err := d.find(ctx, func(r *keys.Record) bool {
		return r.Org == q.Org && r.Kind == q.Kind && r.ID > q.After
	})
	slices.SortFunc(found, func(a, b keys.Record) int { return strings.Compare(a.ID, b.ID) })
	return found[:min(q.Limit, len(found))], err
}

// Sweep removes tokens that were over before a time.
func (d *Dir) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	if limit < 1 {
		return 0, &keys.InvalidError{Field: "limit", Reason: "is less than 1"}
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	dead, err := d.find(ctx, func(r *keys.Record) bool {
		over := func(t time.Time) bool { return !t.IsZero() && t.Before(before) }
		return r.Kind == keys.KindToken && (over(r.ExpiresAt) || over(r.RevokedAt))
	})
	if err != nil {
		return 0, err
	}
	for n, r := range dead[:min(limit, len(dead))] {
		if err := os.Remove(d.file(r.ID)); err != nil {
			return n, err
		}
	}
	return min(limit, len(dead)), d.sync()
}

// file returns the name of a record's file. A hash of the ID is safe in every
// file system: those that ignore case, and those that know forbidden names.
func (d *Dir) file(id string) string {
	sum := sha256.Sum256([]byte(id))
	return filepath.Join(d.path, hex.EncodeToString(sum[:])+".json")
}

// write writes a record to a new file, down to the disk, and returns its name.
func (d *Dir) write(r keys.Record) (string, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp(d.path, "*.new")
	if err != nil {
		return "", err
	}
	_, err = f.Write(text)
	return f.Name(), errors.Join(err, f.Sync(), f.Close())
}

// read reads the record in a file. Text that is no record is an error, and
// never ErrNotFound: the record was there once.
func (d *Dir) read(name string) (r keys.Record, err error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return r, keys.ErrNotFound
	}
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return keys.Record{}, fmt.Errorf("%w: %s: %w", keys.ErrCorrupt, filepath.Base(name), err)
	}
	return r, nil
}

// find returns the records that match.
func (d *Dir) find(ctx context.Context, match func(*keys.Record) bool) (found []keys.Record, err error) {
	names, err := filepath.Glob(filepath.Join(d.path, "*.json"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r, err := d.read(name)
		if err != nil {
			return nil, err
		}
		if match(&r) {
			found = append(found, r)
		}
	}
	return found, nil
}

// sync has the folder itself written to the disk, and with it the names in it.
func (d *Dir) sync() error {
	dir, err := os.Open(d.path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
