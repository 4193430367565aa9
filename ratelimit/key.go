package ratelimit

import "hash/maphash"

// A key stands for a [Bucket]. It is a hash of 128 bits under random seeds, so
// nobody can choose names that have the same key. The probability that any two of
// 2^24 buckets have the same key is below 2^-80. Those two would share a bucket, and
// nothing worse.
type key struct{ h1, h2 uint64 }

// A hasher makes keys under seeds of its own.
type hasher struct{ seed1, seed2 maphash.Seed }

func newHasher() hasher { return hasher{seed1: maphash.MakeSeed(), seed2: maphash.MakeSeed()} }

// key returns the key of b. The strings are hashed separately and never joined.
func (h hasher) key(b Bucket) key { return h.keyIn(h.hashSpace(b.Space), b.Name) }

// hash returns the hash of a string.
func (h hasher) hash(text string) key {
	return key{h1: maphash.String(h.seed1, text), h2: maphash.String(h.seed2, text)}
}

// hashSpace returns the hash of a space, for keyIn.
func (h hasher) hashSpace(space string) key {
	// Without the factor, a space and a name that are swapped would have the
	// same sums in keyIn.
	const odd = 0x9e3779b97f4a7c15
	k := h.hash(space)
	return key{h1: odd * k.h1, h2: odd * k.h2}
}

// keyIn returns the key of a bucket whose space has been hashed.
func (h hasher) keyIn(space key, name string) key {
	k := h.hash(name)
	return key{h1: space.h1 + k.h1, h2: space.h2 + k.h2}
}
