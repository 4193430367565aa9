package sqlitestore_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// A disk is a folder on a disk that keeps what was synced and owes nothing else.
type disk struct {
	files map[string]*blob
	// keep is the chance that a sector, or the making or the removal of a file,
	// that was not synced is there after the power was cut. A negative one is
	// chosen for each cut.
	keep float64
}

// A blob is one file.
type blob struct {
	synced  []byte
	pending []indexed // writes and truncations that were not synced
	// made and removed count the events at which the name came and went, until
	// the folder was synced; -1 is not at all, or not any more.
	made, removed int
}

type indexed struct {
	event
	index int
}

func newDisk() *disk { return &disk{files: make(map[string]*blob), keep: -1} }

// apply takes an event to the disk.
func (d *disk) apply(index int, e event) error {
	f := d.files[e.name]
	if f == nil && e.op != opCreate && e.name != "." {
		return fmt.Errorf("event %d is of %s, which is not there", index, e.name)
	}
	switch e.op {
	case opCreate:
		if f != nil {
			return fmt.Errorf("event %d makes %s, which may still be there", index, e.name)
		}
		d.files[e.name] = &blob{made: index, removed: -1}
	case opRemove:
		f.removed = index
	case opWrite, opTruncate:
		f.pending = append(f.pending, indexed{e, index})
	case opSync:
		if e.name == "." {
			d.syncFolder(e.since)
			return nil
		}
		rest := f.pending[:0]
		for _, p := range f.pending {
			if p.index < e.since {
				f.synced = p.onto(f.synced)
			} else {
				rest = append(rest, p)
			}
		}
		f.pending = rest
	}
	return nil
}

func (d *disk) syncFolder(since int) {
	for name, f := range d.files {
		if f.made < since {
			f.made = -1
		}
		if f.removed >= 0 && f.removed < since {
			delete(d.files, name)
		}
	}
}

// onto returns a file's bytes with a write or a truncation done.
func (e event) onto(b []byte) []byte {
	if e.op == opTruncate {
		return append(b, make([]byte, max(0, e.at-int64(len(b))))...)[:e.at]
	}
	end := e.at + int64(len(e.data))
	b = append(b, make([]byte, max(0, end-int64(len(b))))...)
	copy(b[e.at:], e.data)
	return b
}

// cut writes the files as they may be found after the power was cut, and returns
// how many sectors are not as the process wrote them. It uses the disk up.
func (d *disk) cut(t *testing.T, dir string) (lost int) {
	t.Helper()
	keep := d.keep
	if keep < 0 {
		keep = []float64{0, 0.1, 0.5, 0.9, 1}[rand.IntN(5)]
	}
	stays := func() bool { return rand.Float64() < keep }
	for name, f := range d.files {
		if f.made >= 0 && !stays() || f.removed >= 0 && stays() {
			continue
		}
		b := f.synced
		for _, p := range f.pending {
			if p.op == opTruncate {
				if stays() {
					b = p.onto(b)
				}
				continue
			}
			const sector = 512
			for from := int64(0); from < int64(len(p.data)); {
				until := min(int64(len(p.data)), ((p.at+from)/sector+1)*sector-p.at)
				if stays() {
					b = event{op: opWrite, data: p.data[from:until], at: p.at + from}.onto(b)
				} else {
					lost++
				}
				from = until
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return lost
}
