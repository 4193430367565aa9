package redisstore_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/redisstore"
	"github.com/claviger-auth/claviger/store/storetest"
)

const (
	// killRounds is how often a server is killed under load.
	killRounds = 5
	// patience bounds how long a test waits for what must happen.
	patience = 30 * time.Second
)

// A service is what a host makes of a store.
type service struct {
	*keys.Manager
	store    *redisstore.Store
	verifier *keys.Verifier
	limiter  *ratelimit.Limiter
	failures atomic.Int64 // of the limiter's store, as its hook counts them
}

// An uncached store is one over which there are no caches of records. So nobody
// waits for them, as they otherwise do in the first moments of a server.
type uncached struct {
	store.Store
	keys.TrailStore
}

func serve(t testing.TB, s *redisstore.Store) *service {
	t.Helper()
	m, err := keys.NewManager(uncached{s, s}, &keys.Options{Trail: true, Timeout: patience})
	must(t, err)
	sv := &service{Manager: m, verifier: m.Verifier(), store: s}
	sv.limiter, err = ratelimit.NewLimiter(s, &ratelimit.Options{Hook: func(context.Context, ratelimit.Bucket, error) { sv.failures.Add(1) }})
	must(t, err)
	return sv
}

// issue makes a key, and returns its ID and its text.
func (sv *service) issue(t testing.TB) (id, text string) {
	t.Helper()
	i, err := sv.Create(t.Context(), "acme", keys.Spec{})
	must(t, err)
	return i.Record.ID, i.Text.Reveal()
}

// verify returns the error of a check.
func (sv *service) verify(ctx context.Context, text string) error {
	_, err := sv.verifier.Verify(ctx, text)
	return err
}

// recovers fails the test unless a call goes well in the end, with the client
// that saw the fault.
func recovers(t testing.TB, what string, f func() error) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s does not recover: %v", what, err)
		}
	}
}

// A ledger is what a server acknowledged.
type ledger struct {
	mu             sync.Mutex
	alive, revoked []string
}

// work makes and revokes keys until its context ends, and checks all along that
// nothing is said of a key that is not so.
func (l *ledger) work(ctx context.Context, t *testing.T, sv *service) {
	for ctx.Err() == nil {
		i, err := sv.Create(ctx, "acme", keys.Spec{})
		if err != nil {
			if errors.Is(err, keys.ErrExists) {
				t.Error("a new ID was taken: an insert was done twice")
			}
			continue
		}
		text := i.Text.Reveal()
		if err := sv.verify(ctx, text); err != nil && !errors.Is(err, keys.ErrUnavailable) {
			t.Errorf("a live key: %v", err)
		}
		if err := sv.Revoke(ctx, "acme", keys.KindKey, i.Record.ID); err != nil {
			continue // unknown
		}
		if err := sv.verify(ctx, text); !errors.Is(err, keys.ErrRevoked) && !errors.Is(err, keys.ErrUnavailable) {
			t.Errorf("a revoked key: %v", err)
		}
		kept, err := sv.Create(ctx, "acme", keys.Spec{})
		l.mu.Lock()
		l.revoked = append(l.revoked, text)
		if err == nil {
			l.alive = append(l.alive, kept.Text.Reveal())
		}
		l.mu.Unlock()
	}
}

// audit checks all that was acknowledged.
func (l *ledger) audit(t *testing.T, sv *service) {
	t.Helper()
	for _, text := range l.alive {
		if err := sv.verify(t.Context(), text); err != nil {
			t.Fatalf("a key that was acknowledged: %v", err)
		}
	}
	for _, text := range l.revoked {
		if err := sv.verify(t.Context(), text); !errors.Is(err, keys.ErrRevoked) {
			t.Fatalf("a revocation that was acknowledged: %v", err)
		}
	}
	storetest.CheckTrail(t, sv.store, "acme")
}

// TestKilledUnderLoad kills a durable server again and again while credentials
// are made, used and revoked. What it acknowledged is there afterwards.
func TestKilledUnderLoad(t *testing.T) {
	t.Parallel()
	srv := private(t)
	sv := serve(t, open(t, connect(t, srv.Socket), redisstore.Options{Timeout: 10 * time.Second}))
	var l ledger
	for round := range killRounds {
		ctx, cancel := context.WithCancel(t.Context())
		var workers sync.WaitGroup
		before := len(l.alive)
		for range 4 {
			workers.Go(func() { l.work(ctx, t, sv) })
		}
		recovers(t, "the load", func() error {
			l.mu.Lock()
			defer l.mu.Unlock()
			if len(l.alive) < before+20 {
				return errors.New("too little was done")
			}
			return nil
		})
		srv.Kill()
		if round%2 == 0 { // the workers meet the server that is down, and that is back
			cancel()
			workers.Wait()
		}
		must(t, srv.Start())
		recovers(t, "the service", func() error { _, err := sv.Create(t.Context(), "acme", keys.Spec{}); return err })
		cancel()
		workers.Wait()
		l.audit(t, sv)
	}
	t.Logf("%d live and %d revoked keys", len(l.alive), len(l.revoked))
}
