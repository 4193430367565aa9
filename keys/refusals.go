package keys

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// DefaultRefusalsInterval is how often refusals are written by default.
	DefaultRefusalsInterval = time.Minute
	// DefaultMaxRefusals is the default bound on the entries of one interval.
	DefaultMaxRefusals = 1000
	// MaxOrgRefusals bounds the entries about refusals that the trail of one
	// organization gets for one interval.
	MaxOrgRefusals = 20
)

// Reasons in entries about what an [Actor] refused. Entries about requests have the
// reasons of an [Event].
const (
	ReasonBeyond       = "beyond_caller" // more than the caller has
	ReasonCallerEnded  = "caller_ended"  // the caller's own credential has ended
	ReasonLimitReached = "limit_reached" // the organization has as many credentials as it may have
)

// RefusalsOptions are the settings of [Refusals].
type RefusalsOptions struct {
	// Interval is how long refusals are counted before they are written. If zero,
	// DefaultRefusalsInterval.
	Interval time.Duration

	// Max bounds the entries of one interval, for all organizations together.
	// Refusals that would make more are dropped, and counted. If zero,
	// DefaultMaxRefusals.
	Max int

	// OnError is called with the error of each write by Run that failed. What the
	// write had to write is written with the next one. If nil, such errors are
	// dropped.
	OnError func(error)
}

// Refusals counts the requests that were refused, and writes the counts into the
// trails. In each interval it writes one entry for each credential, reason and
// address, with the number of refusals. So somebody who is refused a million times
// does not cause a million entries. An organization gets at most [MaxOrgRefusals]
// entries for an interval. If it has more refusals, the last entry counts all the
// others, and names no credential, reason or address.
//
// The host gives a Refusals to its manager, wraps the hooks of guards and of package
// oauth with its Hook, and runs it:
//
//	refusals, err := keys.NewRefusals(store, nil)
//	manager, err := keys.NewManager(store, &keys.Options{Trail: true, Refusals: refusals})
//	guard, err := middleware.NewGuard(manager.Verifier(), limiter, &middleware.Options{Hook: refusals.Hook(hook)})
//	go refusals.Run(ctx)
//
// Two kinds of refusals are in no trail: those of credentials that do not exist, which
// belong to no organization, and those of requests for which the store did not answer.
// Counts that are not written when the process is killed are lost. Refusals is safe
// for concurrent use.
type Refusals struct {
	store Store
	trail TrailStore
	opts  RefusalsOptions

	flushing sync.Mutex // held for a whole write

	mu    sync.Mutex
	tally tally
}

// A tally has the counts that are not written yet.
type tally struct {
	counts  map[refusal]*refused
	orgs    map[string]int // how many of counts an organization has, without the one about all others
	max     int            // the bound on counts
	dropped uint64
}

func newTally(most int) tally {
	return tally{counts: make(map[refusal]*refused), orgs: make(map[string]int), max: most}
}

// note counts refusals, within the bounds. A tenth of the room is for credentials
// whose organization has to be looked up, since anybody can invent any number of
// those.
func (t *tally) note(n refusal, f refused) {
	others := refusal{org: n.org}
	if n.org != "" && t.counts[n] == nil && t.orgs[n.org] >= MaxOrgRefusals-1 {
		n = others
	}
	found := t.counts[n]
	switch {
	case found != nil:
		found.count += f.count
		if f.first.Before(found.first) {
			found.first = f.first
		}
	case len(t.counts) >= t.max || n.org == "" && t.orgs[""] > t.max/10:
		t.dropped += uint64(f.count)
	default:
		kept := f
		t.counts[n] = &kept
		if n != others {
			t.orgs[n.org]++
		}
	}
}

// sorted returns what was counted, in the order of the first refusals.
func (t *tally) sorted() []refusal {
	list := slices.Collect(maps.Keys(t.counts))
	slices.SortFunc(list, func(a, b refusal) int {
		return cmp.Or(t.counts[a].first.Compare(t.counts[b].first), cmp.Compare(a.id, b.id), cmp.Compare(a.reason, b.reason), a.addr.Compare(b.addr))
	})
	return list
}

// A refusal has what refusals must have in common to be counted together.
type refusal struct {
	org    string // empty if it has to be looked up
	id     string
	kind   Kind
	actor  string
	reason string
	addr   netip.Addr
}

// refused says how often something was refused, and when first.
type refused struct {
	count int64
	first time.Time
}

// NewRefusals returns a Refusals that writes to store, which must be a
// [TrailStore]. A nil opts is the zero RefusalsOptions. The error says which setting
// is wrong, or wraps [errors.ErrUnsupported] if the store keeps no trail.
func NewRefusals(store Store, opts *RefusalsOptions) (*Refusals, error) {
	if cache, ok := store.(*Cache); ok {
		store = cache.store
	}
	trail, ok := store.(TrailStore)
	if !ok {
		return nil, errNoTrail
	}
	r := &Refusals{store: store, trail: trail}
	if opts != nil {
		r.opts = *opts
	}
	r.opts.Interval = cmp.Or(r.opts.Interval, DefaultRefusalsInterval)
	r.opts.Max = cmp.Or(r.opts.Max, DefaultMaxRefusals)
	if r.opts.Interval < 0 || r.opts.Max < 0 {
		return nil, errors.New("keys: the interval and the bound of Refusals must not be negative")
	}
	r.tally = newTally(r.opts.Max)
	return r, nil
}

// Hook returns a hook that counts the refusals among its events. If next is not nil,
// the hook passes all events on to it.
func (r *Refusals) Hook(next Hook) Hook {
	return func(ctx context.Context, e Event) {
		if e.Type == Refused && e.ID != "" && counted(e.Reason) {
			r.note(refusal{org: e.Org, id: e.ID, kind: e.Kind, reason: e.Reason, addr: AddressFromContext(ctx)}, refused{1, whole(e.Time)})
		}
		if next != nil {
			next(ctx, e)
		}
	}
}

// counted reports whether refusals for a reason are about a credential.
func counted(reason string) bool {
	switch reason {
	case ReasonNoCredential, ReasonSeveral, ReasonMalformed, ReasonUnknown, ReasonUnavailable, ReasonCanceled:
		return false
	}
	return true
}

// refused counts the error of a call for the credential with an ID, if the error says
// that the principal may not do what it asked for.
func (a Actor) refused(ctx context.Context, id string, err error) {
	r := a.m.refusals
	if err == nil || r == nil {
		return
	}
	n := refusal{org: a.p.Org, actor: a.p.name(), addr: AddressFromContext(ctx)}
	switch {
	case errors.Is(err, ErrCallerEnded):
		n.reason = ReasonCallerEnded // without the ID, which was not looked up
	case errors.Is(err, ErrBeyond):
		n.reason, n.id = ReasonBeyond, id
	case errors.Is(err, ErrLimitReached):
		n.reason, n.id = ReasonLimitReached, id
	default:
		return
	}
	r.note(n, refused{1, whole(time.Now())})
}

// note counts refusals. It waits for no store.
func (r *Refusals) note(n refusal, f refused) {
	if n.org != "" && !possibleOrg(n.org) || len(n.id) > MaxID {
		return // a session of the host with a name that no entry can have
	}
	n.actor = possibleActor(n.actor)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tally.note(n, f)
}

// Dropped returns how many refusals were dropped because of [RefusalsOptions].Max.
func (r *Refusals) Dropped() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tally.dropped
}

// Run writes what was counted at every interval until ctx ends, and once more
// then. It returns the error of that last write.
func (r *Refusals) Run(ctx context.Context) error {
	ticker := time.NewTicker(r.opts.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := r.Flush(ctx); err != nil && r.opts.OnError != nil {
				r.opts.OnError(err)
			}
		case <-ctx.Done():
			return r.Flush(context.WithoutCancel(ctx))
		}
	}
}

// Flush writes what was counted so far. It takes five seconds at most. What it could
// not write is kept for the next Flush, and the error is the store's. If the answer
// of the store is lost, an entry may be written twice.
func (r *Refusals) Flush(ctx context.Context) error {
	r.flushing.Lock()
	defer r.flushing.Unlock()
	r.mu.Lock()
	taken := r.tally
	r.tally = newTally(r.opts.Max)
	r.tally.dropped = taken.dropped
	r.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	known, failed := r.resolve(ctx, &taken)
	for _, n := range known.sorted() {
		if failed == nil {
			failed = r.write(ctx, n, known.counts[n])
		}
		if failed != nil {
			r.note(n, *known.counts[n])
		}
	}
	return failed
}

// resolve returns the counts with the organization of every credential, which it looks
// up if need be. Credentials that do not exist are left out.
func (r *Refusals) resolve(ctx context.Context, taken *tally) (known tally, err error) {
	known = newTally(taken.max)
	for _, n := range taken.sorted() {
		f := *taken.counts[n]
		if n.org == "" && err == nil {
			rec, _, getErr := r.store.Get(ctx, n.id)
			switch {
			case errors.Is(getErr, ErrNotFound):
				continue
			case getErr != nil:
				err = getErr
			default:
				n.org, n.kind = rec.Org, rec.Kind
			}
		}
		if n.org == "" { // the store failed; it is looked up by the next Flush
			r.note(n, f)
			continue
		}
		known.note(n, f)
	}
	return known, err
}

// write writes an entry. It leaves out an entry that no store can hold, as of a
// session of the host with an unknown kind.
func (r *Refusals) write(ctx context.Context, n refusal, f *refused) error {
	err := r.trail.AddEntry(ctx, Entry{
		Org: n.org, Time: f.first, Action: ActionRefused, ID: n.id, Kind: n.kind,
		Actor: n.actor, Address: n.addr, Reason: n.reason, Count: f.count,
	})
	if errors.Is(err, ErrInvalid) {
		return nil
	}
	return err
}
