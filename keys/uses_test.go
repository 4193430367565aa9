package keys_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
	"github.com/google/go-cmp/cmp"
)

// useStore is a UseStore that remembers what was written, and how often.
type useStore struct {
	mu     sync.Mutex
	uses   map[string]time.Time
	writes int
	err    error
	hang   bool   // calls go on until their contexts end
	during func() // called within each write; may be nil
	after  func() // called after each read, before its answer is returned; may be nil
}

// begin returns the error of a call that must not be made.
func (s *useStore) begin(ctx context.Context) error {
	if s.hang {
		<-ctx.Done()
	}
	return ctx.Err()
}

func (s *useStore) NoteUses(ctx context.Context, uses map[string]time.Time) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	if s.during != nil {
		s.during()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	if s.err != nil {
		return s.err
	}
	if s.uses == nil {
		s.uses = make(map[string]time.Time)
	}
	maps.Copy(s.uses, uses)
	return nil
}

func (s *useStore) LastUses(ctx context.Context, ids []string) (map[string]time.Time, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	if s.after != nil {
		defer s.after()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := make(map[string]time.Time)
	for _, id := range ids {
		if at, ok := s.uses[id]; ok {
			found[id] = at
		}
	}
	return found, s.err
}

// written returns what was written, and how often.
func (s *useStore) written() (map[string]time.Time, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.uses), s.writes
}

func TestUses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := new(useStore)
		uses, err := keys.NewUses(store, nil)
		if err != nil {
			t.Fatal(err)
		}
		env := newEnv(t, nil)
		manager, verifier := env.over(&keys.Options{Uses: uses})
		issued, err := manager.Create(t.Context(), "acme", keys.Spec{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- uses.Run(ctx) }()
		var last time.Time
		for range 100 {
			time.Sleep(time.Millisecond) // on the test's own clock
			last = time.Now()
			if _, err := verifier.Verify(t.Context(), issued.Text.Reveal()); err != nil {
				t.Fatal(err)
			}
			_, _ = verifier.Verify(t.Context(), issued.Text.Reveal()+"x") // refused: no use
			if _, err := verifier.Inspect(t.Context(), issued.Text.Reveal(), last.Add(time.Hour)); err != nil {
				t.Fatal(err) // no use either
			}
		}
		if _, writes := store.written(); writes != 0 {
			t.Errorf("%d writes while requests waited", writes)
		}
		time.Sleep(keys.DefaultUsesInterval) // on the test's own clock
		synctest.Wait()
		got, writes := store.written()
		if diff := cmp.Diff(map[string]time.Time{issued.Record.ID: last.UTC().Truncate(time.Millisecond)}, got); diff != "" || writes != 1 {
			t.Errorf("%d writes\n%s", writes, diff)
		}
		time.Sleep(5 * keys.DefaultUsesInterval) // on the test's own clock
		synctest.Wait()
		if _, writes := store.written(); writes != 1 {
			t.Errorf("%d writes of nothing", writes-1)
		}
		uses.Note("other", time.Now())
		cancel()
		if err := <-done; err != nil || len(store.uses) != 2 {
			t.Errorf("at the end: %v, %v", store.uses, err)
		}
	})
}

func TestUsesKeepTheLatest(t *testing.T) {
	t.Parallel()
	store := new(useStore)
	uses, err := keys.NewUses(store, &keys.UsesOptions{Max: 2})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, seconds := range []int{3, 5, 1} {
		uses.Note("a", start.Add(time.Duration(seconds)*time.Second))
	}
	uses.Note("b", start)
	uses.Note("c", start) // no room
	uses.Note("b", start.Add(time.Minute))
	uses.Note("b", start.Add(time.Minute+time.Millisecond))
	uses.Note("b", start.Add(time.Minute))
	store.err = errors.New("down")
	if err := uses.Flush(t.Context()); !errors.Is(err, store.err) {
		t.Errorf("a store that fails: %v", err)
	}
	uses.Note("a", start) // older than what waits
	store.err = nil
	if err := uses.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := map[string]time.Time{"a": start.Add(5 * time.Second), "b": start.Add(time.Minute + time.Millisecond)}
	if diff := cmp.Diff(want, store.uses); diff != "" || uses.Dropped() != 1 {
		t.Errorf("dropped %d\n%s", uses.Dropped(), diff)
	}
}

func TestUsesTellOfErrors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &useStore{err: errors.New("down")}
		told := 0
		uses, err := keys.NewUses(store, &keys.UsesOptions{Interval: time.Second, OnError: func(error) { told++ }})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
		defer cancel()
		uses.Note("a", time.Now())
		if err := uses.Run(ctx); !errors.Is(err, store.err) || told != 3 || store.writes != 4 {
			t.Errorf("%v, told %d times of %d writes", err, told, store.writes)
		}
	})
}

// TestUsesWithoutAListener lets writes fail while nobody wants to know.
func TestUsesWithoutAListener(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &useStore{err: errors.New("down")}
		uses, err := keys.NewUses(store, &keys.UsesOptions{Interval: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		uses.Note("a", time.Now())
		if err := uses.Run(ctx); !errors.Is(err, store.err) || store.writes != 3 {
			t.Errorf("%v after %d writes", err, store.writes)
		}
	})
}

func TestNewUsesRefuses(t *testing.T) {
	t.Parallel()
	if _, err := keys.NewUses(nil, nil); err == nil {
		t.Error("no store: no error")
	}
	for _, opts := range []keys.UsesOptions{{Interval: -1}, {Max: -1}} {
		if _, err := keys.NewUses(new(useStore), &opts); err == nil {
			t.Errorf("%+v: no error", opts)
		}
	}
}

func TestUsesOfManyAtOnce(t *testing.T) {
	t.Parallel()
	store := new(useStore)
	uses, err := keys.NewUses(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				uses.Note(fmt.Sprint("id", i), time.UnixMilli(int64(g*1000+i)))
				if i%50 == 0 {
					if err := uses.Flush(t.Context()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	if err := uses.Flush(t.Context()); err != nil || len(store.uses) != 200 || strings.Contains(fmt.Sprint(store.uses), "0001-01-01") {
		t.Errorf("%d uses, %v", len(store.uses), err)
	}
}

// TestLastUses reads what is stored together with what waits to be.
func TestLastUses(t *testing.T) {
	t.Parallel()
	store := new(useStore)
	uses, err := keys.NewUses(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	uses.Note("written", start)
	uses.Note("both", start)
	uses.Note("older", start)
	if err := uses.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	uses.Note("both", start.Add(time.Second))
	uses.Note("older", start.Add(-time.Second))
	uses.Note("waiting", start)
	manager, _ := newEnv(t, nil).over(&keys.Options{Uses: uses})
	got, err := manager.LastUses(t.Context(), "written", "both", "older", "waiting", "never")
	want := map[string]time.Time{"written": start, "both": start.Add(time.Second), "older": start, "waiting": start}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	store.err = errors.New("down")
	if _, err := manager.LastUses(t.Context(), "both"); !errors.Is(err, store.err) {
		t.Errorf("a store that fails: %v", err)
	}
	without, _ := newEnv(t, nil).over(nil)
	if got, err := without.LastUses(t.Context(), "both"); len(got) != 0 || err != nil {
		t.Errorf("without Uses: %v, %v", got, err)
	}
}

// TestLastUsesWhileTheyAreWritten reads a use that is neither noted any more nor
// written yet.
func TestLastUsesWhileTheyAreWritten(t *testing.T) {
	t.Parallel()
	store := new(useStore)
	uses, err := keys.NewUses(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	manager, _ := newEnv(t, nil).over(&keys.Options{Uses: uses})
	at := now()
	store.during = func() {
		got, err := manager.LastUses(t.Context(), "a", "b")
		if diff := cmp.Diff(map[string]time.Time{"a": at}, got); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	}
	uses.Note("a", at)
	if err := uses.Flush(t.Context()); err != nil || store.writes != 1 {
		t.Errorf("%d writes, %v", store.writes, err)
	}
}

// TestLastUsesThatAreWrittenMeanwhile has a use written when the store was read, and has
// not answered yet.
func TestLastUsesThatAreWrittenMeanwhile(t *testing.T) {
	t.Parallel()
	store := new(useStore)
	uses, err := keys.NewUses(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	store.after = func() {
		if err := uses.Flush(t.Context()); err != nil {
			t.Error(err)
		}
	}
	at := now()
	uses.Note("a", at)
	manager, _ := newEnv(t, nil).over(&keys.Options{Uses: uses})
	got, err := manager.LastUses(t.Context(), "a")
	if diff := cmp.Diff(map[string]time.Time{"a": at}, got); err != nil || diff != "" || store.writes != 1 {
		t.Errorf("%d writes, %v\n%s", store.writes, err, diff)
	}
}

// TestUsesOfTokens uses a token at a time that is not whole: the token was used, in
// whole milliseconds also before that is written, and it is forgotten with the token.
// Its client was used when it showed its secret.
func TestUsesOfTokens(t *testing.T) {
	t.Parallel()
	s := new(store.Memory)
	uses, err := keys.NewUses(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := keys.NewManager(s, &keys.Options{Format: partner, Catalog: catalog, Uses: uses})
	if err != nil {
		t.Fatal(err)
	}
	client, err := m.Create(t.Context(), "acme", keys.Spec{Kind: keys.KindClient})
	if err != nil {
		t.Fatal(err)
	}
	token, err := m.IssueToken(t.Context(), client.Record, client.Record.Scopes, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	at := token.Record.CreatedAt.Add(time.Second)
	if _, err := m.Verifier().VerifyAt(t.Context(), token.Text.Reveal(), at.Add(999)); err != nil {
		t.Fatal(err)
	}
	last := func() map[string]time.Time {
		t.Helper()
		all, err := m.LastUses(t.Context(), token.Record.ID, client.Record.ID)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	if _, err := m.Verifier().VerifyClient(t.Context(), client.Record.ID, client.Text.Reveal(), at.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	want := map[string]time.Time{token.Record.ID: at, client.Record.ID: at.Add(time.Second)}
	if diff := cmp.Diff(want, last()); diff != "" {
		t.Errorf("before it is written: %s", diff)
	}
	if err := uses.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, last()); diff != "" {
		t.Errorf("when it is written: %s", diff)
	}
	if n, err := m.Sweep(t.Context(), at.Add(time.Hour)); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	delete(want, token.Record.ID)
	if diff := cmp.Diff(want, last()); diff != "" {
		t.Errorf("of a token that is gone: %s", diff)
	}
}

// TestFlushesOneAfterAnother flushes while another one writes: what was noted before is
// written when it returns.
func TestFlushesOneAfterAnother(t *testing.T) {
	t.Parallel()
	writing, gate := make(chan struct{}), make(chan struct{})
	s := &useStore{during: func() {
		close(writing)
		<-gate
	}}
	u, err := keys.NewUses(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	u.Note("x", time.Now())
	first, second := make(chan error), make(chan int)
	go func() { first <- u.Flush(t.Context()) }()
	<-writing
	go func() {
		_ = u.Flush(t.Context()) // writes nothing itself
		s.mu.Lock()
		defer s.mu.Unlock()
		second <- s.writes
	}()
	for range 100 {
		runtime.Gosched() // in which it returns, if it does not wait
	}
	close(gate)
	if err, n := <-first, <-second; err != nil || n != 1 {
		t.Errorf("%v; %d writes when the second one returned", err, n)
	}
}
