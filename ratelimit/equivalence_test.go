package ratelimit_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// A twin runs one schedule through all ways to a decision: the model, a Memory, and
// three Limiters. One knows that its store is a Memory, one knows only that the store
// waits for nothing, and one knows nothing of its store. They must agree in every field.
type twin struct {
	t     *testing.T
	roll  func(n int) int // from 0 to n-1, as the schedule goes on
	want  model
	plain *ratelimit.Memory // what Memory.Take takes from
	fast  *ratelimit.Memory // what Limiters take from
	slow  *ratelimit.Memory
	inner *embedding
	lims  []*ratelimit.Limiter // over fast, slow, inner

	now        time.Time // the latest time since the clock last went back
	generation map[int]int
	limits     []ratelimit.Limit

	admitted, refused, jumps, peeks, dropped int
}

func newTwin(t *testing.T, roll func(n int) int) *twin {
	// None of these bounds is reached, but they give one shard, some and many.
	most := []int{600, 5000, 70_000}[roll(3)]
	w := &twin{
		t: t, roll: roll, want: model{}, now: epoch, generation: make(map[int]int),
		plain: &ratelimit.Memory{MaxBuckets: most},
		fast:  &ratelimit.Memory{MaxBuckets: most},
		slow:  &ratelimit.Memory{MaxBuckets: most},
		inner: &embedding{Memory: ratelimit.Memory{MaxBuckets: most}},
		limits: []ratelimit.Limit{
			ratelimit.MustPerMinute(1), ratelimit.MustPerMinute(7), ratelimit.MustPerMinute(600), ratelimit.MustPerMinute(1_000_000_000),
			mustLimit(t, 1e9, 1), mustLimit(t, 3, 2), mustLimit(t, 1.0/3, 10), mustLimit(t, 1e6, 1000),
			mustLimit(t, 100.0/86400, 100), mustLimit(t, 1.0/(366*86400), 1), mustLimit(t, 1000.0/3600, 1),
		},
	}
	for _, s := range []ratelimit.Store{w.fast, storeFunc(w.slow.Take), w.inner} {
		w.lims = append(w.lims, newLimiter(t, s, &ratelimit.Options{OnFailure: ratelimit.FailClosed}))
	}
	return w
}

// step does what the dice say.
func (w *twin) step(names int) {
	l := w.limits[w.roll(len(w.limits))]
	if w.now.Year() > 2100 || w.roll(24) == 0 {
		w.goBack(l)
	}
	number := w.roll(names)
	b := ratelimit.Bucket{Space: "org", Name: fmt.Sprint(number, "/", w.generation[number])}
	n := 1
	switch w.roll(8) {
	case 0:
		n = l.Burst()
	case 1, 2:
		n = 1 + w.roll(min(l.Burst(), 1<<16))
	}
	switch w.roll(24) {
	case 0:
		w.now = w.now.Add(l.Window() + time.Duration(w.roll(3)-1))
	case 1:
		w.now = w.now.Add(time.Duration(w.roll(150)) * time.Second)
	case 2:
		w.sweep()
	case 3, 4:
		w.peek(b, l, n)
	case 5, 6, 7, 8:
		w.now = w.now.Add(l.Interval()/2 + time.Duration(w.roll(3)))
	case 9, 10:
		// As soon as the bucket can just pay, or a nanosecond before or after.
		if at := time.Unix(0, w.want[b]+int64(n)*int64(l.Interval())-int64(l.Window())+int64(w.roll(3)-1)); at.After(w.now) {
			w.now = at
		}
	}
	late := w.now
	if w.roll(4) == 0 { // a reading that comes late
		late = late.Add(-time.Duration(w.roll(1<<16)) * time.Second / (1 << 16))
	}
	w.take(b, l, late, n)
}

// take takes by all ways.
func (w *twin) take(b ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) {
	ctx := context.Background()
	want := w.want.take(w.t, b, l, now, n)
	if want.Allowed {
		w.admitted++
	} else {
		w.refused++
	}
	d, err := w.plain.Take(ctx, b, l, now, n)
	w.same("Memory.Take", b, d, err, want)
	for i, lim := range w.lims {
		d, err := lim.TakeAt(ctx, b.Name, l, now, n)
		w.same([]string{"over a Memory", "over any store", "over a struct with a Memory"}[i], b, d, err, want)
	}
}

// peek looks without taking.
func (w *twin) peek(b ratelimit.Bucket, l ratelimit.Limit, n int) {
	w.peeks++
	_, want, err := l.Take(w.want[b], w.now.UnixNano(), n)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, m := range w.memories() {
		d, err := m.Peek(b, l, w.now, n)
		w.same("Peek", b, d, err, want)
	}
}

func (w *twin) same(way string, b ratelimit.Bucket, got ratelimit.Decision, err error, want ratelimit.Decision) {
	w.t.Helper()
	if err != nil || got != want {
		w.t.Fatalf("decision %d, %s, on %q at %v:\n got %+v, %v\nwant %+v", w.admitted+w.refused, way, b, w.now, got, err, want)
	}
}

// sweep sweeps at a time before that of any later Take.
func (w *twin) sweep() {
	for _, m := range w.memories() {
		w.dropped += m.Sweep(w.now.Add(-time.Second))
	}
}

// goBack sets the clock back, by anything up to years. What may have been dropped
// by then is full too soon, so those names are not used any more. All others are
// there, and what they hold counts.
func (w *twin) goBack(l ratelimit.Limit) {
	w.jumps++
	for b, tat := range w.want {
		if tat <= w.now.UnixNano()-int64(time.Second) {
			delete(w.want, b)
			var number int
			if _, err := fmt.Sscanf(b.Name, "%d/", &number); err != nil {
				w.t.Fatal(err)
			}
			w.generation[number]++
		}
	}
	switch w.roll(3) {
	case 0:
		w.now = epoch
	case 1:
		w.now = w.now.Add(-l.Horizon() - time.Duration(w.roll(3)-1))
	default:
		w.now = w.now.Add(-time.Duration(w.roll(100)) * time.Second)
	}
	if w.now.Before(epoch) {
		w.now = epoch
	}
}

func (w *twin) memories() []*ratelimit.Memory {
	return []*ratelimit.Memory{w.plain, w.fast, w.slow, &w.inner.Memory}
}

// However a decision is made, it is the one of Limit.Take over a map that forgets
// nothing: with limits that change, clocks that go back, late readings, names by
// the hundred, looks and sweeps in between.
func TestEquivalence(t *testing.T) {
	t.Parallel()
	for seed := range uint64(24) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 11))
			w := newTwin(t, random.IntN)
			names := []int{1, 5, 500}[seed%3]
			for range steps(8000) {
				w.step(names)
			}
			t.Logf("%d admitted, %d refused, the clock back %d times, %d looks, %d dropped", w.admitted, w.refused, w.jumps, w.peeks, w.dropped)
			if w.admitted < steps(500) || w.refused < steps(100) || w.jumps < steps(50) || w.peeks < steps(50) || names > 1 && w.dropped == 0 {
				t.Error("a dull schedule")
			}
		})
	}
}

// FuzzEquivalence is TestEquivalence by schedules that are looked for.
func FuzzEquivalence(f *testing.F) {
	random := rand.New(rand.NewPCG(12, 12))
	for range 4 {
		var dice []byte
		for range 2000 {
			dice = append(dice, byte(random.Uint32()))
		}
		f.Add(dice)
	}
	f.Fuzz(func(t *testing.T, dice []byte) {
		w := newTwin(t, func(n int) int {
			if len(dice) < 2 {
				dice = nil
				return 0
			}
			v := binary.LittleEndian.Uint16(dice)
			dice = dice[2:]
			return int(v) % n
		})
		for len(dice) > 0 {
			w.step(20)
		}
	})
}

// Requests that come at once are decided one after another, in some order. When
// all of them are alike the order does not matter, and what they are answered is
// together what the model answers.
func TestEquivalenceConcurrent(t *testing.T) {
	t.Parallel()
	const callers = 8
	random := rand.New(rand.NewPCG(3, 3))
	limits := []ratelimit.Limit{ratelimit.MustPerMinute(3), ratelimit.MustPerMinute(20), ratelimit.MustPerMinute(600)}
	want := model{}
	lim := newLimiter(t, &ratelimit.Memory{MaxBuckets: 600}, nil) // one shard
	now := epoch
	for round := range 1500 {
		now = now.Add(time.Duration(random.Int64N(int64(2 * time.Second))))
		b := ratelimit.Bucket{Space: "org", Name: fmt.Sprint(random.IntN(10))}
		l := limits[random.IntN(len(limits))]
		n := 1 + random.IntN(3)
		answers := make(map[ratelimit.Decision]int)
		for range callers {
			answers[want.take(t, b, l, now, n)]++
		}
		var mu sync.Mutex
		var all sync.WaitGroup
		for caller := range callers {
			all.Go(func() {
				// Others on the same shard, who come and go.
				lim.TakeAt(t.Context(), fmt.Sprint(round, "/", caller), l, now, 1)
				d, err := lim.TakeAt(t.Context(), b.Name, l, now, n)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				answers[d]--
			})
		}
		all.Wait()
		for d, n := range answers {
			if n != 0 {
				t.Fatalf("round %d: answered %d times less than due: %+v", round, n, d)
			}
		}
	}
}
