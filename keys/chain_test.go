package keys_test

import (
	"errors"
	"slices"
	"strconv"
	"testing"

	"github.com/claviger-auth/claviger/keys"
)

// chainOf returns a chain of n entries of acme.
func chainOf(n int) []keys.Entry {
	var entries []keys.Entry
	var last keys.Link
	for i := range n {
		e := keys.Entry{Org: "acme", Time: entryTime, Action: keys.ActionChanged, ID: "key_" + strconv.Itoa(i), Kind: keys.KindKey}.Follow(last)
		entries, last = append(entries, e), e.Link()
	}
	return entries
}

// relink computes the hashes of some entries anew, as somebody may who has changed them.
func relink(entries []keys.Entry, from, to int) {
	for i := from; i < to; i++ {
		entries[i] = entries[i].Follow(entries[i-1].Link())
	}
}

// Every change of a chain is found, at the first entry that was changed.
func TestVerifyChain(t *testing.T) {
	t.Parallel()
	errRead := errors.New("reading failed")
	for _, tt := range []struct {
		name string
		edit func(entries []keys.Entry) []keys.Entry
		seq  int64 // 0 if nothing is wrong
	}{
		{"nothing", func(c []keys.Entry) []keys.Entry { return c }, 0},
		{"more than was noted", func(c []keys.Entry) []keys.Entry {
			return append(c, keys.Entry{Org: "acme", Time: entryTime, Action: keys.ActionRevoked}.Follow(c[9].Link()))
		}, 0},
		{"the first changed", func(c []keys.Entry) []keys.Entry { c[0].Actor = "eve"; return c }, 1},
		{"one changed", func(c []keys.Entry) []keys.Entry { c[4].Actor = "eve"; return c }, 5},
		{"two changed", func(c []keys.Entry) []keys.Entry { c[6].Actor = "eve"; c[4].ID = ""; return c }, 5},
		{"a hash changed", func(c []keys.Entry) []keys.Entry { c[4].Hash[0]++; return c }, 5},
		{"no hash", func(c []keys.Entry) []keys.Entry { c[4].Hash = keys.ChainHash{}; return c }, 5},
		{"the first removed", func(c []keys.Entry) []keys.Entry { return c[1:] }, 1},
		{"one removed", func(c []keys.Entry) []keys.Entry { return slices.Delete(c, 4, 5) }, 5},
		{"the last removed", func(c []keys.Entry) []keys.Entry { return c[:9] }, 10},
		{"all removed", func(c []keys.Entry) []keys.Entry { return nil }, 1},
		{"two swapped", func(c []keys.Entry) []keys.Entry { c[4], c[6] = c[6], c[4]; return c }, 5},
		{"two swapped with their positions", func(c []keys.Entry) []keys.Entry {
			c[4], c[6] = c[6], c[4]
			c[4].Seq, c[6].Seq = 5, 7
			return c
		}, 5},
		{"one twice", func(c []keys.Entry) []keys.Entry { return slices.Insert(c, 5, c[4]) }, 5},
		{"one of another organization", func(c []keys.Entry) []keys.Entry { c[4].Org = "globex"; return c }, 5},
		{"one of another chain", func(c []keys.Entry) []keys.Entry {
			c[4].Chain = "x"
			relink(c, 4, 10)
			return c
		}, 5},
		{"one written anew", func(c []keys.Entry) []keys.Entry { c[4].Actor = "eve"; relink(c, 4, 5); return c }, 5},
		{"one written anew behind another", func(c []keys.Entry) []keys.Entry {
			c[4] = c[4].Follow(keys.Link{Seq: 4})
			return c
		}, 4}, // or the one after it
		{"the first written anew behind another", func(c []keys.Entry) []keys.Entry {
			c[0] = c[0].Follow(keys.Link{Hash: keys.ChainHash{1}})
			return c
		}, 1},
		{"one removed and the rest linked anew", func(c []keys.Entry) []keys.Entry {
			c = slices.Delete(c, 4, 5)
			relink(c, 4, 9)
			return c
		}, 7}, // the entry of the known link
		{"the rest written anew", func(c []keys.Entry) []keys.Entry { c[4].Actor = "eve"; relink(c, 4, 10); return c }, 7},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			entries := chainOf(10)
			known := []keys.Link{entries[9].Link(), entries[6].Link()}
			last, err := keys.VerifyChain("acme", "", keys.Link{}, entriesOf(tt.edit(entries)...), known...)
			var tampered *keys.TamperError
			switch {
			case tt.seq == 0 && err != nil, tt.seq == 0 && last.Seq < 10:
				t.Errorf("a chain that is sound up to %d: %v", last.Seq, err)
			case tt.seq != 0 && !errors.Is(err, keys.ErrTampered):
				t.Errorf("nothing was found: %v", err)
			case errors.As(err, &tampered) && (tampered.Seq != tt.seq || tampered.Org != "acme"):
				t.Errorf("found entry %d, want %d: %v", tampered.Seq, tt.seq, err)
			}
		})
	}
	// Entries are verified from a link on, whether those before it are there or not.
	entries := chainOf(10)
	from := entries[3].Link()
	if last, err := keys.VerifyChain("acme", "", from, entriesOf(entries[4:]...), from, entries[1].Link()); err != nil || last != entries[9].Link() {
		t.Errorf("from entry 4 on: %v, %v", last, err)
	}
	if _, err := keys.VerifyChain("acme", "", from, entriesOf(entries[2:]...)); !errors.Is(err, keys.ErrTampered) {
		t.Errorf("with entries that should have been cut: %v", err)
	}
	if _, err := keys.VerifyChain("acme", "", from, entriesOf(entries[4:]...), keys.Link{Seq: 4}); !errors.Is(err, keys.ErrTampered) {
		t.Errorf("from a place that is known to be another: %v", err)
	}
	failing := func(yield func(keys.Entry, error) bool) { _ = yield(entries[0], nil) && yield(keys.Entry{}, errRead) }
	if last, err := keys.VerifyChain("acme", "", keys.Link{}, failing); err != errRead || last.Seq != 1 {
		t.Errorf("entries that cannot be read: %v, %v", last, err)
	}
}
