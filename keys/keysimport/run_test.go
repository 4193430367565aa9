package keysimport_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keysimport"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

// failing is a reader that fails after some text.
type failing struct {
	text *bytes.Reader
	err  error
}

func (f failing) Read(b []byte) (int, error) {
	if n, err := f.text.Read(b); err == nil {
		return n, nil
	}
	return 0, f.err
}

// many returns a file of keys.
func many(n int) string {
	var b strings.Builder
	b.WriteString("text,org\n")
	for i := range n {
		fmt.Fprintf(&b, "sk_live_%032d,acme\n", i)
	}
	return b.String()
}

func TestRunEndsWithTheReader(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	cause := errors.New("disk error")
	for name, read := range map[string]func() iter.Seq[keysimport.Row]{
		"CSV": func() iter.Seq[keysimport.Row] {
			rows, err := keysimport.ReadCSV(failing{bytes.NewReader([]byte(many(10))), cause}, lookup(t, "text"), nil)
			if err != nil {
				t.Fatal(err)
			}
			return rows
		},
		"JSON": func() iter.Seq[keysimport.Row] {
			return keysimport.ReadJSONLines(failing{bytes.NewReader([]byte("{}\n{}\n")), cause}, lookup(t, "text"), nil)
		},
	} {
		for _, batch := range []int{1, 4} { // so that the last one is full, and is not
			if sum, err := keysimport.Run(t.Context(), h.manager, read(), &keysimport.Options{Batch: batch}); !errors.Is(err, cause) || sum.Rows == 0 {
				t.Errorf("%s, batches of %d: %+v, %v", name, batch, sum, err)
			}
		}
	}
}

// TestRunStopsAndGoesOn has the store fail for good in the middle of an import, and
// begins it again.
func TestRunStopsAndGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // so that nobody waits between two tries
		h := newHost(t)
		const n = 1000
		seen, order := 0, 0
		opts := &keysimport.Options{Batch: 10, Workers: 4, Verdict: func(v keysimport.Verdict) error {
			if v.Line != order+2 {
				t.Errorf("line %d after %d", v.Line, order+1)
			}
			order++
			return nil
		}, Progress: func(s keysimport.Summary) {
			if seen = s.Rows; s.Rows == 500 {
				h.faults.Fail(storetest.Insert, storetest.Always, errors.New("gone"))
			}
		}}
		sum, err := keysimport.Run(t.Context(), h.manager, h.read("text.csv", many(n)), opts)
		if !errors.Is(err, keys.ErrUnavailable) || !strings.Contains(err.Error(), fmt.Sprintf("from line %d on", sum.Rows+2)) || sum.Added < 500 || sum.Rows != seen || sum.Rows == n {
			t.Fatalf("%+v, %v", sum, err)
		}
		h.faults.Heal()
		again, _ := h.run(h.read("text.csv", many(n)), keysimport.Options{Batch: 10})
		if again.Rows != n || again.Existed < sum.Added || again.Added+again.Existed != n {
			t.Errorf("at first %+v, then %+v", sum, again)
		}
	})
}

// A flaky store fails once, at an insert in the middle of a batch.
type flaky struct {
	keys.Store
	inserts int
}

func (f *flaky) Insert(ctx context.Context, r keys.Record) error {
	if f.inserts++; f.inserts == 15 {
		return errors.New("connection reset")
	}
	return f.Store.Insert(ctx, r)
}

// TestRunTriesAgain has the store fail for a moment. Rows that were written before
// count as added.
func TestRunTriesAgain(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	m, err := keys.NewManager(&flaky{Store: h.faults}, &keys.Options{OtherFormats: []*keys.Format{h.formats["text"]}})
	if err != nil {
		t.Fatal(err)
	}
	sum, err := keysimport.Run(t.Context(), m, h.read("text.csv", many(30)), &keysimport.Options{Batch: 10, Workers: 1})
	if want := (keysimport.Summary{Rows: 30, Added: 30}); sum != want || err != nil {
		t.Errorf("%+v, %v", sum, err)
	}
}

// An absent store is not there yet.
type absent struct {
	keys.Store
	until time.Time
}

func (a *absent) Insert(ctx context.Context, r keys.Record) error {
	if time.Now().Before(a.until) {
		return errors.New("connection refused")
	}
	return a.Store.Insert(ctx, r)
}

// TestRunWaitsLonger has the store fail for two seconds. The pauses between the tries
// grow, so that they are long enough for that.
func TestRunWaitsLonger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		m, err := keys.NewManager(&absent{h.faults, time.Now().Add(2 * time.Second)}, &keys.Options{OtherFormats: []*keys.Format{h.formats["text"]}})
		if err != nil {
			t.Fatal(err)
		}
		sum, err := keysimport.Run(t.Context(), m, h.read("text.csv", many(1)), nil)
		if want := (keysimport.Summary{Rows: 1, Added: 1}); sum != want || err != nil {
			t.Errorf("%+v, %v", sum, err)
		}
	})
}

func TestRunEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	cause := errors.New("the file of verdicts is full")
	read := 0
	rows := func(yield func(keysimport.Row) bool) {
		for row := range h.read("text.csv", many(1000)) {
			if read++; !yield(row) {
				return
			}
		}
	}
	if sum, err := keysimport.Run(t.Context(), h.manager, rows, &keysimport.Options{
		Batch: 10, Verdict: func(keysimport.Verdict) error { return cause },
	}); err != cause || sum.Rows != 1 || read == 1000 {
		t.Errorf("%+v, %v; %d rows were read", sum, err, read)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := keysimport.Run(ctx, h.manager, h.read("text.csv", many(1000)), &keysimport.Options{
		Batch: 10, Progress: func(keysimport.Summary) { cancel() },
	}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	for range 20 { // whether a batch is still begun is chance
		if _, err := keysimport.Run(ctx, h.manager, h.read("text.csv", many(1)), nil); !errors.Is(err, context.Canceled) {
			t.Errorf("by a caller that has gone: %v", err)
		}
	}
	for _, opts := range []keysimport.Options{{Batch: -1}, {Workers: -1}} {
		if _, err := keysimport.Run(t.Context(), h.manager, h.rows("text.csv"), &opts); err == nil {
			t.Errorf("%+v is fine", opts)
		}
	}
}

// A lasting store goes on with an insert for a second, whatever its context says, unless
// it is of the first key.
type lasting struct {
	keys.Store
	running atomic.Int64
}

func (l *lasting) Insert(_ context.Context, r keys.Record) error {
	if r.Label != "first" {
		l.running.Add(1)
		defer l.running.Add(-1)
		time.Sleep(time.Second) // on the test's own clock
	}
	return l.Store.Insert(context.Background(), r)
}

// TestRunLeavesNothingBehind ends an import at its first verdict, while other keys are
// written: it returns when they are.
func TestRunLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &lasting{Store: new(store.Memory)}
		m, err := keys.NewManager(s, &keys.Options{OtherFormats: []*keys.Format{keys.MustForeignFormat("sk_live_", nil)}})
		if err != nil {
			t.Fatal(err)
		}
		cause := errors.New("the file of verdicts is full")
		rows := func(yield func(keysimport.Row) bool) {
			for i := range 10 {
				label := map[bool]string{true: "first"}[i == 0]
				f := keys.Foreign{Org: "acme", Text: keys.NewSecret(fmt.Sprintf("sk_live_%032d", i)), Spec: keys.Spec{Label: label}}
				if !yield(keysimport.Row{Line: i, Foreign: f}) {
					return
				}
			}
		}
		verdict := func(keysimport.Verdict) error {
			synctest.Wait()
			if s.running.Load() == 0 {
				t.Error("nothing else is written")
			}
			return cause
		}
		if _, err := keysimport.Run(t.Context(), m, rows, &keysimport.Options{Batch: 1, Workers: 4, Verdict: verdict}); err != cause {
			t.Error(err)
		}
		if n := s.running.Load(); n != 0 {
			t.Errorf("%d keys are still written", n)
		}
	})
}

// TestRunSaysWhyItEnded ends an import while the store is asked, which fails then. As
// many batches are written at once as there are workers.
func TestRunSaysWhyItEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		defer h.faults.Block(storetest.Insert)()
		ctx, stop := context.WithCancelCause(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := keysimport.Run(ctx, h.manager, h.read("text.csv", many(100)), &keysimport.Options{Batch: 1, Workers: 4})
			ended <- err
		}()
		synctest.Wait()
		if n := h.faults.Calls(storetest.Insert); n != 4 {
			t.Errorf("%d batches are written at once", n)
		}
		interrupted := errors.New("interrupted")
		stop(interrupted)
		if err := <-ended; err != interrupted {
			t.Errorf("%v, want %v", err, interrupted)
		}
	})
}
