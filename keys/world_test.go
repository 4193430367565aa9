package keys_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// A world is the server that the nodes of a history share: a store and its feed,
// on the clock of a synctest bubble. It notes which version of each credential
// checks may see.
type world struct {
	begin time.Time
	how   server

	mu      sync.Mutex
	random  *rand.Rand
	records map[string]keys.Record
	states  map[string][]state // by ID: what the credential was after each change, absent at first
	need    map[string]int     // by ID: the oldest state that a check which starts now may see

	seq       int      // what is numbered when a transaction begins
	log       []change // in the order of commits
	trimmed   int      // how many changes are not in the log any more
	epoch     int      // new when the server may have lost or gained a past
	announced map[string]*announcement
	lost      time.Duration // until when announcements may have been lost
	jumped    time.Duration // by which the clock that announcements are compared with was set forward
	wrong     string
}

// A server says which rule a world breaks. The zero server breaks none.
type server struct {
	sequence bool // the feed's positions are numbers of transactions, not of commits
	trimmed  bool // that the log was trimmed beyond a position goes unnoticed
	crashes  bool // that the server crashed goes unnoticed, as by its time of start alone
	unmarked bool // a poll does not look whether its own announcement is there
	unswept  bool // records that are swept are not in the feed
	lost     bool // that announcements may have been lost goes unnoticed
}

// A state is what a credential is like from a change of it to the next.
type state struct {
	absent, paused, revoked bool
	ends                    time.Time
}

// outcome returns the error of a check of a credential in this state.
func (s state) outcome(now time.Time) error {
	switch {
	case s.absent:
		return keys.ErrUnknown
	case s.revoked:
		return keys.ErrRevoked
	case !s.ends.IsZero() && !now.Before(s.ends):
		return keys.ErrExpired
	case s.paused:
		return keys.ErrPaused
	}
	return nil
}

type change struct {
	id  string
	seq int
}

type announcement struct {
	lease  time.Duration
	at     time.Duration
	marked bool
}

func newWorld(seed uint64, how server) *world {
	return &world{
		begin: time.Now(), how: how, random: rand.New(rand.NewPCG(seed, 2)), epoch: 1,
		records: make(map[string]keys.Record), states: make(map[string][]state), need: make(map[string]int),
		announced: make(map[string]*announcement),
	}
}

// roll returns a random number from 0 to n-1.
func (w *world) roll(n int) int { return int(w.upTo(time.Duration(n) - 1)) }

// upTo returns a random duration up to d.
func (w *world) upTo(d time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Duration(w.random.Int64N(int64(d) + 1))
}

func (w *world) now() time.Duration { return time.Since(w.begin) }

// A trail is what one call of a manager has read and written: the newest state of
// each credential.
type trail map[string]int

type trailKey struct{}

// note notes in the trail of a call what it reads or writes. The lock is held.
func (w *world) note(ctx context.Context, id string) {
	if t, ok := ctx.Value(trailKey{}).(trail); ok {
		t[id] = max(t[id], len(w.states[id])-1)
	}
}

// everywhere notes that a call has returned: whoever starts to check now must see
// what it saw.
func (w *world) everywhere(t trail) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, n := range t {
		w.need[id] = max(w.need[id], n)
	}
}

// write puts a record in its place, or takes it away if it is nil. The lock is held.
func (w *world) write(ctx context.Context, id string, r *keys.Record, seq int) {
	if len(w.states[id]) == 0 {
		w.states[id] = []state{{absent: true}}
	}
	s := state{absent: true}
	if r != nil {
		s = state{paused: r.Disabled(), revoked: r.Revoked(), ends: r.ExpiresAt}
		r.Label = strconv.Itoa(len(w.states[id])) // by which a check tells what it saw
		w.records[id] = *r
	} else {
		delete(w.records, id)
	}
	w.states[id] = append(w.states[id], s)
	if seq > 0 {
		w.log = append(w.log, change{id, seq})
	}
	w.note(ctx, id)
}

func (w *world) insert(ctx context.Context, r keys.Record) error {
	if err := r.Validate(); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, is := w.records[r.ID]; is {
		return keys.ErrExists
	}
	w.write(ctx, r.ID, &r, 0)
	return nil
}

func (w *world) get(ctx context.Context, id string) (rec, parent keys.Record, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.note(ctx, id)
	rec, is := w.records[id]
	if !is {
		return rec, parent, keys.ErrNotFound
	}
	return rec, w.records[rec.Parent], nil
}

// start starts a transaction.
func (w *world) start() (seq, epoch int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seq++
	return w.seq, w.epoch
}

// commit ends a transaction that updates a record, unless the server has crashed
// since.
func (w *world) commit(ctx context.Context, r keys.Record, seq, epoch int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	old, is := w.records[r.ID]
	switch {
	case epoch != w.epoch:
		return errLost
	case !is:
		return keys.ErrNotFound
	}
	next, err := keys.Next(old, r)
	if err != nil {
		return err
	}
	w.write(ctx, r.ID, &next, seq)
	return nil
}

func (w *world) list(ctx context.Context, q keys.Query) (page []keys.Record, err error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, r := range w.records {
		if r.Org == q.Org && r.Kind == q.Kind {
			w.note(ctx, id)
			if id > q.After && !(q.Live && r.Revoked()) {
				page = append(page, r)
			}
		}
	}
	slices.SortFunc(page, func(a, b keys.Record) int { return cmp.Compare(a.ID, b.ID) })
	return page[:min(len(page), q.Limit)], nil
}

func (w *world) sweep(ctx context.Context, before time.Time, limit int) (n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(w.records)) {
		if r := w.records[id]; n < limit && r.Sweepable(before) {
			if w.seq++; w.how.unswept {
				w.write(ctx, id, nil, 0)
			} else {
				w.write(ctx, id, nil, w.seq)
			}
			n++
		}
	}
	return n, nil
}

// trim takes old changes out of the log.
func (w *world) trim(keep int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	gone := max(0, len(w.log)-keep)
	w.log, w.trimmed = w.log[gone:], w.trimmed+gone
}

// crash makes the server recover. Transactions that are open are lost, and
// positions in the feed are given out once more.
func (w *world) crash() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.epoch++
	w.trimmed = max(0, w.trimmed+len(w.log)-w.random.IntN(4))
	w.log = nil
}

// fail makes another server the primary, to which the last announcements have not
// come.
func (w *world) fail() {
	w.crash()
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.announced)
	if !w.how.lost {
		w.lost = w.now() + keys.MaxLease*12/10
	}
}

// jump sets the clock forward that tells how old announcements are.
func (w *world) jump(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.jumped = d
}

func (w *world) announce(id string, lease time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a := w.announced[id]; a != nil && a.marked {
		return keys.ErrNotAnnounced
	}
	w.announced[id] = &announcement{lease: lease, at: w.now() + w.jumped}
	return nil
}

func (w *world) withdraw(ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		delete(w.announced, id)
	}
}

func (w *world) markIdle(idle time.Duration) (ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, a := range w.announced {
		if a.marked = a.marked || a.at < w.now()+w.jumped-idle; a.marked {
			ids = append(ids, id)
		}
	}
	return ids
}

func (w *world) longestLease() (lease time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now() < w.lost {
		return keys.MaxLease
	}
	for _, a := range w.announced {
		lease = max(lease, a.lease)
	}
	return lease
}

func (w *world) poll(id string, after keys.Position) (c keys.Changes, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a := w.announced[id]; !w.how.unmarked && (a == nil || a.marked) {
		return c, keys.ErrNotAnnounced
	}
	var epoch, at int
	_, err = fmt.Sscanf(string(after), "%d:%d", &epoch, &at)
	c.All = err != nil || epoch != w.epoch && !w.how.crashes
	end := w.trimmed + len(w.log)
	if !w.how.sequence {
		c.All = c.All || at < w.trimmed && !w.how.trimmed
		c.Next = keys.Position(fmt.Sprintf("%d:%d", w.epoch, end))
		for i := max(at, w.trimmed); i < end && !c.All; i++ {
			c.IDs = append(c.IDs, w.log[i-w.trimmed].id)
		}
		return c, nil
	}
	last := at
	for _, x := range w.log {
		if last = max(last, x.seq); x.seq > at && !c.All {
			c.IDs = append(c.IDs, x.id)
		}
	}
	c.Next = keys.Position(fmt.Sprintf("%d:%d", w.epoch, last))
	return c, nil
}

var errLost = errors.New("lost")

// A sight is what a check may see, as of when it starts.
type sight struct {
	id, parent string
	at         time.Time
	need, up   int // the oldest states of the credential and of its parent
}

func (w *world) look(id, parent string) sight {
	w.mu.Lock()
	defer w.mu.Unlock()
	return sight{id: id, parent: parent, at: time.Now(), need: w.need[id], up: w.need[parent]}
}

// judge notes what is wrong with the answer of a check. The label is that of the
// record, or that of the parent if it has one.
func (w *world) judge(s sight, label string, err error) {
	if errors.Is(err, keys.ErrUnavailable) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	own, parents := w.outcomes(s.id, s.need, s.at), w.outcomes(s.parent, s.up, s.at)
	n, _ := strconv.Atoi(label)
	ok := own[err]
	switch {
	case err == nil && s.parent == "":
		ok = n >= s.need && n < len(w.states[s.id]) && w.states[s.id][n].outcome(s.at) == nil
	case err == nil:
		ok = own[nil] && n >= s.up && n < len(w.states[s.parent]) && w.states[s.parent][n].outcome(s.at) == nil
	case s.parent == "":
	case parents[keys.ErrRevoked] || parents[keys.ErrExpired]:
		ok = ok || own[nil] && err == keys.ErrRevoked
		fallthrough
	default:
		ok = ok || own[nil] && err == keys.ErrPaused && parents[keys.ErrPaused]
	}
	if !ok && w.wrong == "" {
		w.wrong = fmt.Sprintf("a check of %s that began at %v had the answer %q, %v, and had to see state %d (parent: %d) at least of %+v (parent: %+v)",
			s.id, s.at.Sub(w.begin), label, err, s.need, s.up, w.states[s.id], w.states[s.parent])
	}
}

// outcomes returns the answers of checks of a credential since a state.
func (w *world) outcomes(id string, since int, now time.Time) map[error]bool {
	found := make(map[error]bool)
	for _, s := range w.states[id][min(since, len(w.states[id])):] {
		found[s.outcome(now)] = true
	}
	if len(w.states[id]) == 0 {
		found[keys.ErrUnknown] = true
	}
	return found
}
