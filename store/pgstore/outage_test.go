package pgstore_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/pgstore"
)

// outages are the rounds of TestServerRestarted.
const outages = 4

// A load is a number of goroutines that check credentials, each of which has
// one right answer, until they are told to stop.
type load struct {
	good, refused, unavailable atomic.Int64

	stop chan struct{}
	wg   sync.WaitGroup
}

// begin starts the load. An answer that is neither the right one nor
// [keys.ErrUnavailable] fails the test.
func begin(t *testing.T, s *pgstore.Store) *load {
	t.Helper()
	m := manager(t, s)
	client, key, dead := create(t, m, keys.Spec{Kind: keys.KindClient}), create(t, m, keys.Spec{}), create(t, m, keys.Spec{})
	token, err := m.IssueToken(t.Context(), client.Record, client.Record.Scopes, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Revoke(t.Context(), "acme", keys.KindKey, dead.Record.ID); err != nil {
		t.Fatal(err)
	}
	wrong := token.Text.Reveal()
	wrong = wrong[:len(wrong)-1] + string('0'+('1'-wrong[len(wrong)-1])&1)
	l := &load{stop: make(chan struct{})}
	for text, want := range map[string]error{
		key.Text.Reveal(): nil, token.Text.Reveal(): nil,
		dead.Text.Reveal(): keys.ErrRevoked, unknownKey(t): keys.ErrUnknown, wrong: keys.ErrMismatch,
	} {
		if _, err := m.Verifier().Verify(t.Context(), text); !errors.Is(err, want) {
			t.Fatalf("a credential is %s before the outage, want %s", verdict(err), verdict(want))
		}
		l.wg.Go(func() { l.run(t, m.Verifier(), text, want) })
	}
	return l
}

func (l *load) run(t *testing.T, v *keys.Verifier, text string, want error) {
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		switch _, err := v.Verify(t.Context(), text); {
		case errors.Is(err, keys.ErrUnavailable):
			l.unavailable.Add(1)
		case !errors.Is(err, want):
			t.Errorf("a credential is %s, want %s", verdict(err), verdict(want))
			return
		case err == nil:
			l.good.Add(1)
		default:
			l.refused.Add(1)
		}
	}
}

// answers waits until so many more checks got the right answer.
func (l *load) answers(t *testing.T, n int64) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for good, refused := l.good.Load(), l.refused.Load(); l.good.Load() < good+n || l.refused.Load() < refused+n; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("no recovery: %d good, %d refused, %d unavailable", l.good.Load(), l.refused.Load(), l.unavailable.Load())
		}
	}
}

func (l *load) end() {
	close(l.stop)
	l.wg.Wait()
}

// TestServerRestarted stops and kills the server under load and starts it
// again. Nobody is let in or turned away wrongly, and all goes on afterwards
// with the store as it is.
func TestServerRestarted(t *testing.T) {
	t.Parallel()
	server := start(t)
	l := begin(t, openOn(t, connectTo(t, server.DSN), "claviger", nil))
	defer l.end()
	for round := range outages {
		l.answers(t, 20)
		before := l.unavailable.Load()
		if round%2 == 0 {
			server.Stop()
		} else {
			server.Kill()
		}
		restart(t, server)
		l.answers(t, 20)
		if l.unavailable.Load() == before {
			t.Errorf("round %d: nobody noticed", round)
		}
	}
}

// TestBackendsTerminated ends connections in the middle of what they do, as an
// administrator, a pooler or a proxy does. No check fails for that.
func TestBackendsTerminated(t *testing.T) {
	t.Parallel()
	name := schema(t)
	s := openOn(t, connect(t, "application_name="+name, "pool_max_conns=6"), name, nil)
	l := begin(t, s)
	m := manager(t, s)
	var made sync.Map
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				issued, err := m.Create(t.Context(), "others", keys.Spec{})
				if err == nil {
					made.Store(issued.Text.Reveal(), nil)
				} else if errors.Is(err, keys.ErrExists) || errors.Is(err, keys.ErrNotFound) {
					t.Errorf("Create: %v", err)
				}
			}
		})
	}
	ended := 0
	terminations := rounds(40, 20, 10)
	for range terminations {
		ended += value[int](t, shared.pool, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE application_name = $1 AND pid % 2 = $2`, name, rand.IntN(2))
		l.answers(t, 3)
	}
	close(stop)
	wg.Wait()
	l.end()
	if ended < terminations || l.unavailable.Load() > 0 {
		t.Errorf("%d connections ended, %d checks failed, want at least %d, and none", ended, l.unavailable.Load(), terminations)
	}
	n := 0
	made.Range(func(text, _ any) bool {
		n++
		if _, err := m.Verifier().Verify(t.Context(), text.(string)); err != nil {
			t.Errorf("a key of which the host was told is %s", verdict(err))
		}
		return !t.Failed()
	})
	if n == 0 {
		t.Error("no key was made")
	}
}

// TestRetry runs under a default isolation at which the server rolls back
// statements that meet others, and checks that callers see nothing of it.
func TestRetry(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"repeatable%20read", "serializable"}[:rounds(2, 2, 1)] {
		t.Run("level="+level, func(t *testing.T) {
			t.Parallel()
			rolledBack := &failures{}
			pool := connectTraced(t, rolledBack, "default_transaction_isolation="+level)
			s := openOn(t, pool, schema(t), nil)
			b, l := bucket("hot"), limit(t, 1.0/86400, 200)
			var admitted, won, conflicts atomic.Int64
			var wg sync.WaitGroup
			insert(t, s, record(keys.KindKey, "hot"))
			for i := range 8 {
				wg.Go(func() {
					for n := range 40 {
						if take(t, s, b, l, 1).Allowed {
							admitted.Add(1)
						}
						r := get(t, s, "hot")
						r.Label = fmt.Sprint(i, n)
						switch err := s.Update(t.Context(), r); {
						case err == nil:
							won.Add(1)
						case errors.Is(err, keys.ErrConflict):
							conflicts.Add(1)
						default:
							t.Errorf("Update: %v", err)
						}
						if err := s.NoteUses(t.Context(), map[string]time.Time{"hot": now.Add(time.Duration(n) * time.Second)}); err != nil {
							t.Errorf("NoteUses: %v", err)
						}
						if err := s.Insert(t.Context(), record(keys.KindKey, fmt.Sprint(n))); err != nil && !errors.Is(err, keys.ErrExists) {
							t.Errorf("Insert: %v", err)
						}
					}
				})
			}
			wg.Wait()
			if n := admitted.Load(); n != 200 {
				t.Errorf("%d were admitted, want 200", n)
			}
			if v := get(t, s, "hot").Version; v != won.Load()+1 {
				t.Errorf("the version is %d after %d updates", v, won.Load())
			}
			if rolledBack.n.Load() == 0 {
				t.Error("the server rolled back nothing: the calls prove nothing")
			}
			t.Logf("%d statements rolled back, %d updates, %d conflicts", rolledBack.n.Load(), won.Load(), conflicts.Load())
		})
	}
}
