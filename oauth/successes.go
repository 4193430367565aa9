package oauth

import (
	"sync"
	"time"
)

const (
	// successTime is how long a client that succeeded from an address is exempt
	// from the budgets of failures there.
	successTime = time.Hour
	// maxSuccesses bounds how many are remembered.
	maxSuccesses = 10_000
)

// successes remember credentials that were right, as hashes, in two halves. When the
// newer half is full or old, it takes the place of the older one, and an empty half
// becomes the newer. The zero value is ready.
type successes struct {
	mu           sync.Mutex
	newer, older map[uint64]time.Time
	began        time.Time // when the newer half was begun
}

// note remembers that credentials were right at now.
func (s *successes) note(hash uint64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, ok := s.newer[hash]; ok && now.Sub(last) < successTime/4 {
		return // it is known well enough
	}
	if s.newer == nil || len(s.newer) >= maxSuccesses/2 || now.Sub(s.began) > successTime {
		s.newer, s.older, s.began = make(map[uint64]time.Time), s.newer, now
	}
	s.newer[hash] = now
}

// lately reports whether credentials were right within successTime before now.
func (s *successes) lately(hash uint64, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.newer[hash]
	if !ok {
		at, ok = s.older[hash]
	}
	return ok && now.Sub(at) < successTime
}

// forget forgets credentials that are not right any more.
func (s *successes) forget(hash uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.newer, hash)
	delete(s.older, hash)
}
