package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
)

// buckets returns buckets that meet if their strings are joined, folded, trimmed,
// cut, hashed to 32 bits or read as patterns.
func buckets() []ratelimit.Bucket {
	names := append(hostile(), "acme", "Acme", "ACME", "acme ", "acme\n", "\u00e9", "caf\u00e9", "cafe\u0301", "{acme}", "{acme}:org", "org:acme")
	names = append(names, "plumless", "buckeroo") // of one CRC-32
	names = append(names, long(longestName)...)
	var all []ratelimit.Bucket
	for _, name := range names {
		all = append(all, ratelimit.Bucket{Space: "org", Name: name})
	}
	for _, pair := range [][2]string{
		{"a", "b:c"},
		{"a:b", "c"},
		{"a", "b|c"},
		{"a|b", "c"},
		{"a", "b/c"},
		{"a/b", "c"},
		{"a", "bc"},
		{"ab", "c"},
		{"a\n", "b"},
		{"a", "\nb"},
		{"{a", "}b"},
		{"{a}", "b"},
		{"a ", "b"},
		{"a", " b"},
		{"1:a", "b"},
		{"1", "a:b"},
		{"3:org", "acme"},
		{"org", "3:acme"},
		{"addr", "acme"},
		{"Org", "acme"},
	} {
		all = append(all, ratelimit.Bucket{Space: pair[0], Name: pair[1]})
	}
	return all
}

// longestName is the length in bytes of the longest names that stores must hold.
const longestName = 300

// long returns names of n bytes that differ in the first byte or in the last.
func long(n int) []string {
	middle := strings.Repeat("x", n-2)
	return []string{"a" + middle + "a", "a" + middle + "b", "b" + middle + "a"}
}

func takeIsolatesBuckets(p *probe, s ratelimit.Store) {
	l := daily(1)
	all := buckets()
	// Once in each direction: of two that meet, the second finds nothing left.
	for i, b := range all {
		if d := p.take(s, b, l, 1); !d.Allowed {
			p.failf("the bucket %+q, which was never used, refuses; others before it were %s", b, quoteBuckets(all[:i]))
		}
	}
	slices.Reverse(all)
	for _, b := range all {
		p.admitted(false, s, b, l, 1, fmt.Sprintf("%+q, after all of it", b))
	}
	// Stores may refuse longer names, but must not cut them.
	for _, n := range []int{longestName + 1, 1000} {
		for _, name := range long(n) {
			d, err := s.Take(p.ctx, ratelimit.Bucket{Space: "org", Name: name}, l, time.Now(), 1)
			if !d.Allowed && !errors.Is(err, ratelimit.ErrBucket) {
				p.failf("Take from a bucket that was never used, with a name of %d bytes: Allowed is %t, error %v; want true, or an error that wraps ErrBucket", n, d.Allowed, err)
			}
		}
	}
}

func quoteBuckets(all []ratelimit.Bucket) string {
	var text strings.Builder
	text.WriteString("…")
	for _, b := range all[max(0, len(all)-8):] {
		fmt.Fprintf(&text, " {%s %s}", quote(b.Space), quote(b.Name))
	}
	return text.String()
}

func takeSharesBetweenLimits(p *probe, s ratelimit.Store) {
	// One window, six days, in sixths, in thirds and at once.
	six, three, one := daily(6), mustLimit(1.0/86400/2, 3), mustLimit(1.0/86400/6, 1)
	b := p.bucket("a")
	p.admitted(true, s, b, six, 2, "a third of the window")
	p.admitted(true, s, b, three, 1, "under a limit of the same window, after a third of it")
	p.admitted(false, s, b, one, 1, "which is a whole window, after two thirds of it")
	p.admitted(true, s, b, six, 2, "the last third of the window")
	for _, l := range []ratelimit.Limit{six, three, one} {
		p.admitted(false, s, b, l, 1, "after a whole window under other limits")
	}
	// A debt of a minute is within the horizon of every limit.
	b = p.bucket("b")
	p.admitted(true, s, b, ratelimit.MustPerMinute(1), 1, "a minute")
	p.admitted(false, s, b, ratelimit.MustPer(1, time.Second, 1), 1, "under a limit with a window of a second, after a minute")
	p.admitted(false, s, b, ratelimit.MustPerMinute(2), 1, "half a minute, after a minute and a refusal under a limit with a window of a second")
}

// takeWritesRefusals makes a debt of three days, which is beyond the horizon of a
// per-minute limit. To that limit it is a timestamp from before the clock was set
// back. Hosts must not mix such limits, but they show what is written.
func takeWritesRefusals(p *probe, s ratelimit.Store) {
	b, l := p.bucket("a"), daily(3)
	p.admitted(true, s, b, l, 3, "when full")
	p.admitted(false, s, b, ratelimit.MustPerMinute(1), 1, "under one a minute, after three days")
	p.admitted(true, s, b, l, 1, "one day, after a refusal under one a minute, which left a debt of a minute")
}

func takeForgetsNoDebt(p *probe, s ratelimit.Store) {
	b, l := p.bucket("a"), daily(1)
	p.admitted(true, s, b, l, 1, "when full")
	const most = 2500 // fewer if the store is slow
	var others atomic.Int64
	start := time.Now()
	p.parallel(racers, func(racer int) {
		for i := racer; i < most && time.Since(start) < crowdTime; i += racers {
			p.take(s, p.bucket(fmt.Sprint("other ", i)), l, 1)
			others.Add(1)
		}
	})
	p.admitted(false, s, b, l, 1, fmt.Sprintf("after all of it, and after %d other buckets", others.Load()))
}

// takeKeepsDebt waits for a second, and finds stores that keep buckets for less.
func takeKeepsDebt(p *probe, s ratelimit.Store) {
	minute, ten := ratelimit.MustPerMinute(1), ratelimit.MustPer(1, 10*time.Second, 1)
	debts := []struct {
		when string
		l    ratelimit.Limit
		n    int // half of the burst or less, so that a second gives back too little
	}{
		{"a day for each of 2", daily(2), 1},
		{"a minute", minute, 1},
		{"a second for each of 60", ratelimit.MustPerMinute(60), 30},
		{"ten seconds", ten, 1},
		{"a minute, and a refusal under a limit with a window of 100 ms", minute, 1},
	}
	for i, debt := range debts {
		p.admitted(true, s, p.bucket(fmt.Sprint(i)), debt.l, debt.l.Burst(), "when full")
	}
	p.admitted(false, s, p.bucket(fmt.Sprint(len(debts)-1)), ratelimit.MustPer(1, 100*time.Millisecond, 1), 1, "under a limit with a window of 100 ms, after a minute")
	time.Sleep(1100 * time.Millisecond)
	for i, debt := range debts {
		p.admitted(false, s, p.bucket(fmt.Sprint(i)), debt.l, debt.n, "a second after "+debt.when)
	}
	// A store in the process goes by now. Others ignore it, and refuse as well.
	d, err := s.Take(p.ctx, p.bucket("0"), daily(2), time.Now().Add(11*time.Hour), 1)
	p.ok(err, "Take")
	if d.Allowed {
		p.failf("Take of 1 from a bucket that is empty, 11 hours later, under a limit of one request a day: Allowed is true, want false")
	}
}

// quick is a limit that refills while one waits.
const (
	quickInterval = 50 * time.Millisecond
	quickBurst    = 2
)

func quick() ratelimit.Limit { return mustLimit(float64(time.Second/quickInterval), quickBurst) }

func takeRefills(p *probe, s ratelimit.Store) {
	const slack = 2 * time.Millisecond // for clocks that count in milliseconds
	b, l := p.bucket("a"), quick()
	for range 3 {
		d := p.take(s, b, l, 1)
		for tries := 0; d.Allowed; tries++ {
			if tries == 1000 {
				p.failf("a bucket of %d, with one more every %v, never refuses", quickBurst, quickInterval)
			}
			d = p.take(s, b, l, 1)
		}
		time.Sleep(d.RetryAfter + slack)
		p.admitted(true, s, b, l, 1, fmt.Sprintf("after RetryAfter, which was %v", d.RetryAfter))
	}
}

func takeKeepsRate(p *probe, s ratelimit.Store) {
	b, l := p.bucket("a"), quick()
	start := time.Now()
	admitted := 0
	for range 40 {
		if p.take(s, b, l, 1).Allowed {
			admitted++
		}
		time.Sleep(quickInterval / 8)
	}
	// One more than the promise, since the store's clock may tick in steps.
	span := time.Since(start)
	if most := quickBurst + int(span/quickInterval) + 1; admitted > most {
		p.failf("a bucket of %d, with one more every %v, admitted %d in %v, want at most %d", quickBurst, quickInterval, admitted, span, most)
	}
}

func takeWithEndedContext(p *probe, s ratelimit.Store) {
	ctx, cancel := context.WithCancel(p.ctx)
	cancel()
	b, l := p.bucket("a"), daily(3)
	admitted := 0
	for range 5 {
		d, err := s.Take(ctx, b, l, time.Now(), 1)
		switch {
		case err != nil && blames(err):
			p.failf("Take with a context that had ended failed with %q", err)
		case err != nil && d != (ratelimit.Decision{}):
			p.failf("Take with a context that had ended failed, and returned the Decision %+v, want the zero one", d)
		case d.Allowed:
			admitted++
		}
	}
	for range 5 {
		if p.take(s, b, l, 1).Allowed {
			admitted++
		}
	}
	if admitted > 3 {
		p.failf("a bucket of 3 admitted %d, some with a context that had ended", admitted)
	}
}

func concurrentTakes(p *probe, s ratelimit.Store) {
	const burst = 50
	for n := range 3 {
		b, l := p.bucket(fmt.Sprint(n)), daily(burst)
		var admitted atomic.Int64
		p.parallel(racers, func(int) {
			for range 2 * burst / racers {
				if p.take(s, b, l, 1).Allowed {
					admitted.Add(1)
				}
			}
		})
		if admitted.Load() != burst {
			p.failf("%d calls from %d goroutines admitted %d, want %d", 2*burst/racers*racers, racers, admitted.Load(), burst)
		}
	}
}
