package store

import (
	"iter"
	"slices"
	"sort"
	"sync"
)

// blockSize bounds what an insertion moves: 4 KiB on 64-bit machines.
const blockSize = 256

// An index lists the IDs of one organization and kind in byte order. It is a
// list of sorted blocks: an insertion moves part of one block, and a page is
// found by two binary searches and then read in order.
//
// Its mutex is also what makes pages consistent: whoever changes a record that
// is listed here holds it, and whoever reads a page holds it for reading.
type index struct {
	org string

	mu     sync.RWMutex
	blocks [][]string // none is empty
	len    int
}

// block returns the number of the block that id belongs to. If there is no
// block it returns 0.
func (x *index) block(id string) int {
	return max(0, sort.Search(len(x.blocks), func(i int) bool { return x.blocks[i][0] > id })-1)
}

// add adds an ID that is not there.
func (x *index) add(id string) {
	x.len++
	if len(x.blocks) == 0 {
		x.blocks = [][]string{{id}}
		return
	}
	b := x.block(id)
	at, _ := slices.BinarySearch(x.blocks[b], id)
	if len(x.blocks[b]) == blockSize {
		b, at = x.split(b, at)
	}
	x.blocks[b] = slices.Insert(x.blocks[b], at, id)
}

// split makes room in block b, which is full, and returns where the place
// before its element at is now. IDs that come in ascending order fill blocks to
// the end rather than to the half.
func (x *index) split(b, at int) (int, int) {
	cut := blockSize / 2
	if at == blockSize && b == len(x.blocks)-1 {
		cut = blockSize
	}
	right := append(make([]string, 0, blockSize), x.blocks[b][cut:]...)
	clear(x.blocks[b][cut:])
	x.blocks[b] = x.blocks[b][:cut]
	x.blocks = slices.Insert(x.blocks, b+1, right)
	if at > cut || cut == blockSize {
		return b + 1, at - cut
	}
	return b, at
}

// remove removes an ID that is there.
func (x *index) remove(id string) {
	x.len--
	b := x.block(id)
	at, _ := slices.BinarySearch(x.blocks[b], id)
	x.blocks[b] = slices.Delete(x.blocks[b], at, at+1)
	if len(x.blocks[b]) == 0 {
		x.blocks = slices.Delete(x.blocks, b, b+1)
	}
}

// after returns the IDs that come after id, in ascending order.
func (x *index) after(id string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if len(x.blocks) == 0 {
			return
		}
		b := x.block(id)
		at, found := slices.BinarySearch(x.blocks[b], id)
		if found {
			at++
		}
		for ; b < len(x.blocks); b, at = b+1, 0 {
			for _, id := range x.blocks[b][at:] {
				if !yield(id) {
					return
				}
			}
		}
	}
}
