package keys

import (
	"hash"
	"sync/atomic"
)

// HoldSlowHashes takes every place for slow hashes until release is called.
func (v *Verifier) HoldSlowHashes() (release func()) {
	places := v.hasher.slow.places
	for range cap(places) {
		places <- struct{}{}
	}
	return func() {
		for range cap(places) {
			<-places
		}
	}
}

// CountHashes counts the HMACs that v computes from now on in n. It is called
// before v is used.
func (v *Verifier) CountHashes(n *atomic.Int64) {
	for _, p := range v.hasher.peppers {
		fresh := p.states.New
		p.states.New = func() any {
			s := fresh().(*hmacState)
			s.hash = countedHash{s.hash, n}
			return s
		}
	}
}

type countedHash struct {
	hash.Hash
	n *atomic.Int64
}

func (h countedHash) Sum(b []byte) []byte {
	h.n.Add(1)
	return h.Hash.Sum(b)
}
