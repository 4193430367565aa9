// Package customstore is an example of a store of your own: a folder of JSON files, one
// for each record. It is meant to be read and copied. Records are durable, and only one
// process may use the folder; limits are in its memory. Package sqlstore is an example
// of a store that several processes share.
//
// A store makes no decisions: Record.Validate, keys.Next and Record.Sweepable make
// them. It only has to read and write, and to let nobody else write in between. The
// test of this package checks that with package storetest.
package customstore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
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
	mu   sync.RWMutex // held by writers for reading and writing, by readers for reading
}

// Open returns a store over the folder at path, which it makes if need be.
func Open(path string) (*Dir, error) { return &Dir{path: path}, os.MkdirAll(path, 0o700) }

// Insert adds a record.
func (d *Dir) Insert(ctx context.Context, r keys.Record) error {
	if err := errors.Join(ctx.Err(), r.Validate()); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.read(d.file(r.ID)); !errors.Is(err, keys.ErrNotFound) {
		return cmp.Or(err, keys.ErrExists)
	}
	return d.write(r)
}

// Get returns a record and its parent.
func (d *Dir) Get(ctx context.Context, id string) (rec, parent keys.Record, err error) {
	if err := ctx.Err(); err != nil {
		return rec, parent, err
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	if rec, err = d.read(d.file(id)); err != nil || rec.Parent == "" {
		return rec, parent, err
	}
	parent, err = d.read(d.file(rec.Parent))
	if errors.Is(err, keys.ErrNotFound) {
		err = nil
	}
	return rec, parent, err
}

// Update replaces a record, if nobody else has done so since it was read.
func (d *Dir) Update(ctx context.Context, r keys.Record) error {
	if err := errors.Join(ctx.Err(), r.Validate()); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	old, err := d.read(d.file(r.ID))
	if err == nil {
		r, err = keys.Next(old, r)
	}
	if err != nil {
		return err
	}
	return d.write(r)
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
		return r.Org == q.Org && r.Kind == q.Kind && r.ID > q.After && !(q.Live && r.Revoked())
	})
	slices.SortFunc(found, func(a, b keys.Record) int { return strings.Compare(a.ID, b.ID) })
	return found[:min(q.Limit, len(found))], err
}

// Sweep removes tokens that ended before a time.
func (d *Dir) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	if limit < 1 {
		return 0, &keys.InvalidError{Field: keys.FieldLimit, Reason: "is less than 1"}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	dead, err := d.find(ctx, func(r *keys.Record) bool { return r.Sweepable(before) })
	dead = dead[:min(limit, len(dead))]
	for n, r := range dead {
		if err := os.Remove(d.file(r.ID)); err != nil {
			return n, err
		}
	}
	return len(dead), err
}

// file returns the name of a record's file. It is a hash of the ID, since file systems
// may ignore case or forbid some names.
func (d *Dir) file(id string) string {
	sum := sha256.Sum256([]byte(id))
	return filepath.Join(d.path, hex.EncodeToString(sum[:])+".json")
}

// write writes a record to a new file, which then replaces the old one. So there is
// never half a record, even if the power fails.
func (d *Dir) write(r keys.Record) error {
	text, err := r.MarshalJSON()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(d.path, "*.new")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	dir, err := os.Open(d.path)
	if err != nil {
		return err
	}
	return errors.Join(os.Rename(f.Name(), d.file(r.ID)), dir.Sync(), dir.Close())
}

// read reads the record in a file. If the text is not a record, the error wraps
// ErrCorrupt, and not ErrNotFound: there was a record.
func (d *Dir) read(name string) (r keys.Record, err error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return r, keys.ErrNotFound
	} else if err != nil {
		return r, err
	}
	err = r.UnmarshalJSON(text)
	return r, err
}

// find returns the records that match.
func (d *Dir) find(ctx context.Context, match func(*keys.Record) bool) (found []keys.Record, err error) {
	files, err := os.ReadDir(d.path)
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if filepath.Ext(f.Name()) != ".json" {
			continue // of a write that was interrupted
		}
		r, err := d.read(filepath.Join(d.path, f.Name()))
		if err != nil {
			return nil, err
		}
		if match(&r) {
			found = append(found, r)
		}
	}
	return found, errors.Join(err, ctx.Err())
}
