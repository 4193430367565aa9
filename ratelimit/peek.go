package ratelimit

import "time"

// Peek returns the Decision that [Memory.Take] would return, without taking
// anything. It is for limits on failures, such as wrong passwords: a caller looks
// before an attempt, and takes after the attempt has failed. Other takes can come
// between the two. Peek fails as Take does.
func (m *Memory) Peek(b Bucket, l Limit, now time.Time, n int) (d Decision, err error) {
	if err := l.Check(n); err != nil {
		return d, err
	}
	t := m.open()
	k := t.key(b)
	l.take(t.shard(k).peek(k), t.ticks(now), n, &d)
	return d, nil
}

// peek returns the timestamp of k, or the one that a newcomer would start from.
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
