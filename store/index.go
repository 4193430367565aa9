package store

import (
	"slices"
	"sync"
)

const (
	// blockSize bounds what one call has to sort, or to move: 4 KiB on 64-bit
	// machines.
	blockSize = 256

	// samples is how many IDs of a block are looked at to cut it in two.
	samples = 9
)

// An index lists the IDs of one organization and kind in byte order: those of
// records that are revoked, and the others.
//
// Its mutex also makes pages consistent: whoever changes a record that is listed here
// holds it, and whoever reads a page holds it for reading.
type index struct {
	org string

	mu      sync.RWMutex
	live    list
	revoked list
}

// of returns the list for records that are revoked, or for those that are not.
func (x *index) of(revoked bool) *list {
	if revoked {
		return &x.revoked
	}
	return &x.live
}

// sorted reports whether the first n IDs after the given one are in order, so that
// they can be read: those of live records, or of all.
func (x *index) sorted(id string, n int, live bool) bool {
	return x.live.sorted(id, n) && (live || x.revoked.sorted(id, n))
}

// sort puts the first n IDs after the given one in order.
func (x *index) sort(id string, n int, live bool) {
	x.live.sort(id, n)
	if !live {
		x.revoked.sort(id, n)
	}
}

// after returns a merge that stands before the first ID that comes after id.
func (x *index) after(id string, live bool) merge {
	m := merge{live: x.live.after(id)}
	if !live {
		m.revoked = x.revoked.after(id)
	}
	return m
}

// A merge walks over the IDs of two lists in byte order.
type merge struct{ live, revoked cursor }

// next returns the next ID, or "" if there are no more.
func (m *merge) next() string {
	a, b := m.live.id(), m.revoked.id()
	if b == "" || a != "" && a < b {
		m.live.skip()
		return a
	}
	m.revoked.skip()
	return b
}

// A list has IDs in byte order. It is made of blocks in ascending order. Within a
// block the IDs stand in the order in which they came. They are sorted when somebody
// reads them or removes one. So an insertion only appends to a block, and IDs that
// are never listed, such as those of most tokens, are hardly ever sorted.
type list struct {
	blocks []block // none is empty
	len    int
}

// A block has the IDs from its bound on and below the next block's. The first
// block has all that are below the next one's.
type block struct {
	bound  string
	ids    []string
	sorted int // how many of ids, from the first, are in ascending order
}

// block returns the number of the block that id belongs to. If there is no
// block it returns 0.
func (x *list) block(id string) int {
	low, high := 0, len(x.blocks)
	for high-low > 1 {
		if mid := (low + high) / 2; x.blocks[mid].bound <= id {
			low = mid
		} else {
			high = mid
		}
	}
	return low
}

// add adds an ID that is not there.
func (x *list) add(id string) {
	x.len++
	at := x.block(id)
	switch last := len(x.blocks) - 1; {
	case last < 0:
		x.blocks = []block{{bound: id}}
	case len(x.blocks[at].ids) < blockSize:
	case at == last && x.blocks[at].ends(id):
		// IDs that come in ascending order fill blocks to the end rather than
		// to the half.
		x.blocks = append(x.blocks, block{bound: id, ids: make([]string, 0, blockSize)})
		at++
	default:
		right := x.blocks[at].split()
		x.blocks = slices.Insert(x.blocks, at+1, right)
		if id >= right.bound {
			at++
		}
	}
	x.blocks[at].add(id)
}

// remove removes an ID that is there.
func (x *list) remove(id string) {
	x.len--
	at := x.block(id)
	b := &x.blocks[at]
	b.sort()
	i, _ := slices.BinarySearch(b.ids, id)
	b.ids = slices.Delete(b.ids, i, i+1)
	b.sorted--
	if len(b.ids) == 0 {
		x.blocks = slices.Delete(x.blocks, at, at+1)
	}
}

// page returns the blocks that the first n IDs after the given one are in.
func (x *list) page(id string, n int) []block {
	first := x.block(id)
	end := first
	for n >= 0 && end < len(x.blocks) {
		if end > first { // how many IDs of the first block come after id is not known
			n -= len(x.blocks[end].ids)
		}
		end++
	}
	return x.blocks[first:end]
}

// sorted reports whether the n IDs after the given one are in order.
func (x *list) sorted(id string, n int) bool {
	return !slices.ContainsFunc(x.page(id, n), func(b block) bool { return b.sorted < len(b.ids) })
}

// sort puts the n IDs after the given one in order.
func (x *list) sort(id string, n int) {
	blocks := x.page(id, n)
	for i := range blocks {
		blocks[i].sort()
	}
}

// after returns a cursor that stands before the first ID that comes after id. The
// order of the IDs is ascending as far as they are sorted.
func (x *list) after(id string) cursor {
	if len(x.blocks) == 0 {
		return cursor{}
	}
	b := x.block(id)
	at, found := slices.BinarySearch(x.blocks[b].ids, id)
	if found {
		at++
	}
	return cursor{ids: x.blocks[b].ids[at:], blocks: x.blocks[b+1:]}
}

// A cursor stands before an ID of a list, or at its end.
type cursor struct {
	ids    []string // the rest of a block
	blocks []block  // those that come after it
}

// id returns the ID that the cursor stands before, or "" at the end.
func (c *cursor) id() string {
	if len(c.ids) == 0 {
		if len(c.blocks) == 0 {
			return ""
		}
		c.ids, c.blocks = c.blocks[0].ids, c.blocks[1:] // no block is empty
	}
	return c.ids[0]
}

// skip moves the cursor behind the ID that id returned last, if there was one.
func (c *cursor) skip() {
	if len(c.ids) > 0 {
		c.ids = c.ids[1:]
	}
}

// ends reports whether b is sorted and id comes after all of it.
func (b *block) ends(id string) bool {
	return b.sorted == len(b.ids) && (b.sorted == 0 || b.ids[b.sorted-1] < id)
}

// add adds an ID to a block that has room for it.
func (b *block) add(id string) {
	if b.ends(id) {
		b.sorted++
	}
	b.ids = append(b.ids, id)
}

// sort sorts what was added since b was sorted, and merges it with the rest.
func (b *block) sort() {
	if b.sorted == len(b.ids) {
		return
	}
	slices.Sort(b.ids[b.sorted:])
	added := slices.Clone(b.ids[b.sorted:])
	i := b.sorted
	for to := len(b.ids); len(added) > 0; {
		to--
		if last := len(added) - 1; i > 0 && b.ids[i-1] > added[last] {
			i--
			b.ids[to] = b.ids[i]
		} else {
			b.ids[to] = added[last]
			added = added[:last]
		}
	}
	b.sorted = len(b.ids)
}

// split moves about half of a full block, the greater IDs, to a new one. It finds the
// middle by a few IDs of the block, which is faster than to sort all of them. Some of
// those few are on either side, so neither block gets empty. The order of the IDs
// within each block stays.
func (b *block) split() (right block) {
	var sample [samples]string
	for i := range sample {
		sample[i] = b.ids[i*(blockSize-1)/(samples-1)]
	}
	slices.Sort(sample[:])
	right = block{bound: sample[samples/2], ids: make([]string, 0, blockSize)}
	left, sorted := b.ids[:0], 0
	for i, id := range b.ids {
		to, n := &left, &sorted
		if id >= right.bound {
			to, n = &right.ids, &right.sorted
		}
		*to = append(*to, id)
		if i < b.sorted {
			*n++
		}
	}
	clear(b.ids[len(left):])
	b.ids, b.sorted = left, sorted
	return right
}
