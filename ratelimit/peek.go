package ratelimit

import "time"

// Peek returns what [Memory.Take] would answer, and takes nothing: for limits on
// failures, which are known only after the fact. Its errors are those of Take.
func (m *Memory) Peek(b Bucket, l Limit, now time.Time, n int) (d Decision, err error) {
	if err := l.check(n); err != nil {
		return d, err
	}
	t := m.open()
	k := t.key(b)
	l.take(t.shard(k).peek(k), t.ticks(now), n, &d)
	return d, nil
}

// peek returns the timestamp of k, or that from which a newcomer starts.
func (s *shard) peek(k key) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.slots) > 0 {
		if tat := s.slots[s.find(k)].tat; tat != 0 {
			return tat
		}
	}
	return s.spare
}
