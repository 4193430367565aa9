package ratelimit

// NewLeasesBy returns a Leases that reads its clocks by a function.
func NewLeasesBy(store Store, opts *LeasesOptions, clock func() (mono, wall int64)) (*Leases, error) {
	l, err := NewLeases(store, opts)
	if err != nil {
		return nil, err
	}
	l.clock = func() instant {
		mono, wall := clock()
		return instant{mono: mono, wall: wall}
	}
	return l, nil
}

// A LeaseView is a lease as tests see it, and break it.
type LeaseView struct {
	Left, Window int64
	Mono, Wall   int64 // before the store was asked
}

// Edit calls edit for each bucket of which something is known, with its leases, the
// older one first, and with how far it was ahead. What edit changes is changed.
func (l *Leases) Edit(edit func(leases *[2]LeaseView, ahead *int64)) {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		for _, a := range s.all {
			var views [2]LeaseView
			for i, p := range a.leases {
				views[i] = LeaseView{p.left, p.window, p.from.mono, p.from.wall}
			}
			edit(&views, &a.ahead)
			for i, v := range views {
				a.leases[i] = lease{left: v.Left, window: v.Window, from: instant{mono: v.Mono, wall: v.Wall}}
			}
		}
		s.mu.Unlock()
	}
}
