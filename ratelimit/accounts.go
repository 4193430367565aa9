package ratelimit

import (
	"sync"
	"sync/atomic"
)

// accountShards is the number of parts of the accounts, each with a lock of its
// own. It is a power of two.
const accountShards = 64

// accounts has an account for each bucket for which the store was asked lately. An
// account is dropped within seconds after the last trip.
type accounts struct {
	turn   atomic.Uint64 // see tidy
	trips  atomic.Uint64 // see LeaseStats
	shards [accountShards]accountShard
}

// An accountShard is one part of the accounts. The lock guards all that it holds.
type accountShard struct {
	mu      sync.Mutex
	all     map[key]*account
	tidied  instant // when idle accounts were last dropped
	leased  uint64  // see LeaseStats
	refused uint64
	_       [16]byte // the lock has a cache line of its own
}

// shard returns the shard of k.
func (a *accounts) shard(k key) *accountShard { return &a.shards[k.h2%accountShards] }

// open returns the account of k, and makes it if there is none.
func (s *accountShard) open(k key) *account {
	a := s.all[k]
	if a == nil {
		if s.all == nil {
			s.all = make(map[key]*account)
		}
		a = new(account)
		s.all[k] = a
	}
	return a
}

// close drops the account of k if the store never answered and nobody waits. So a
// store that fails leaves no accounts behind.
func (s *accountShard) close(k key, a *account) {
	if !a.known && !a.busy() {
		delete(s.all, k)
	}
}

// tidy drops the idle accounts of one shard. The shards take turns, and none is
// looked at twice within leaseTerm. Each account was made for a trip to the store,
// and each trip calls tidy, so accounts do not pile up. Without any trips nothing
// is looked at.
func (a *accounts) tidy(now instant) {
	s := &a.shards[a.turn.Add(1)%accountShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.since(s.tidied) < leaseTerm {
		return
	}
	s.tidied = now
	old := s.all
	s.all = make(map[key]*account) // since a map does not give memory back
	for k, a := range old {
		if !a.idle(now) {
			s.all[k] = a
		}
	}
}
