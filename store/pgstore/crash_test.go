package pgstore_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/pgstore"
)

const (
	hostKills   = 200 // rounds of TestHostKilled
	hostLanes   = 4   // of which so many run at once
	serverKills = 6   // rounds of TestServerKilled
)

// TestHostKilled kills a process of the host's at random instants while it
// makes and revokes keys. What was acknowledged to it is there, and nothing is
// half made.
func TestHostKilled(t *testing.T) {
	t.Parallel()
	name := schema(t)
	s := openIn(t, name, nil)
	for lane := range hostLanes {
		t.Run(fmt.Sprintf("lane=%d", lane), func(t *testing.T) {
			t.Parallel()
			for range hostKills / hostLanes {
				p := play(t, "write", dsn(t), name)
				lines := []string{p.read()}
				<-time.After(time.Duration(rand.Int64N(int64(15 * time.Millisecond)))) // the instant
				checkAcknowledged(t, s, fmt.Sprintf("org %d", p.cmd.Process.Pid), append(lines, p.kill()...))
			}
		})
	}
}

// checkAcknowledged compares what a writer was told with what is stored.
func checkAcknowledged(t *testing.T, s *pgstore.Store, org string, lines []string) {
	t.Helper()
	v := manager(t, s).Verifier()
	want := make(map[string]error)
	var last string
	for _, line := range lines {
		what, text, _ := strings.Cut(line, " ")
		want[text] = map[string]error{"revoked": keys.ErrRevoked}[what]
		last = text
	}
	for text, want := range want {
		_, err := v.Verify(t.Context(), text)
		underway := text == last && want == nil && errors.Is(err, keys.ErrRevoked)
		if !errors.Is(err, want) && !underway {
			t.Fatalf("a key of %d that were acknowledged is %s, want %s", len(lines), verdict(err), verdict(want))
		}
	}
	page, err := s.List(t.Context(), keys.Query{Org: org, Kind: keys.KindKey, Limit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if more := len(page) - len(want); more < 0 || more > 1 {
		t.Fatalf("%d keys are stored of %d that were acknowledged", len(page), len(want))
	}
	for _, r := range page {
		if r.Revoked() != (r.Version == 2) {
			t.Fatalf("half a write: version %d, revoked at %v", r.Version, r.RevokedAt)
		}
	}
}

// TestServerKilled kills the server under load. By its default it acknowledges
// commits that are only in memory, and writes them out much later, if it lives:
// the store does not go by that.
func TestServerKilled(t *testing.T) {
	t.Parallel()
	server := start(t, "synchronous_commit=off", "wal_writer_delay=10s", "autovacuum=off")
	pool := connectTo(t, server.DSN)
	s := openOn(t, pool, "claviger", nil)
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	execute(t, pool, `CREATE TABLE control (n int)`)
	m := manager(t, s)
	for round := range serverKills {
		var wg sync.WaitGroup
		var mu sync.Mutex
		want := make(map[string]error)
		for range 4 {
			wg.Go(func() {
				for { // until the server is gone
					issued, err := m.Create(t.Context(), "acme", keys.Spec{})
					if err != nil {
						return
					}
					text := issued.Text.Reveal()
					mu.Lock()
					want[text] = nil
					mu.Unlock()
					if err := m.Revoke(t.Context(), "acme", issued.Record.ID); err != nil {
						mu.Lock()
						delete(want, text) // may be revoked or not
						mu.Unlock()
						return
					}
					mu.Lock()
					want[text] = keys.ErrRevoked
					mu.Unlock()
				}
			})
		}
		<-time.After(time.Duration(10+rand.Int64N(40)) * time.Millisecond)
		server.Kill()
		wg.Wait()
		restart(t, server)
		pool.Reset()
		total := len(want)
		for text, want := range want {
			if _, err := m.Verifier().Verify(t.Context(), text); !errors.Is(err, want) {
				t.Fatalf("round %d: a key of %d that were acknowledged is %s, want %s", round, total, verdict(err), verdict(want))
			}
		}
		if total == 0 {
			t.Errorf("round %d: nothing was acknowledged", round)
		}
	}

	// Without the store's care, the same server forgets.
	execute(t, pool, `INSERT INTO control VALUES (1)`)
	server.Kill()
	restart(t, server)
	pool.Reset()
	if n := value[int](t, pool, `SELECT count(*) FROM control`); n != 0 {
		t.Error("a commit that nobody waited for survived: the rounds above prove nothing")
	}
}

// TestTakesInCrash checks what the package says of limits and crashes.
func TestTakesInCrash(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		sync bool
		left int
	}{
		{"default", false, 10},
		{"sync", true, 7},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := start(t, "wal_writer_delay=10s", "autovacuum=off")
			pool := connectTo(t, server.DSN)
			s := openOn(t, pool, "claviger", &pgstore.Options{SyncTake: test.sync})
			l := limit(t, 1.0/86400, 11)
			insert(t, s, record(keys.KindKey, "key")) // reads the driver's types, and what the server caches
			if d := take(t, s, bucket("a"), l, 3); d.Remaining != 8 {
				t.Fatalf("%d remain, want 8", d.Remaining)
			}
			server.Kill()
			restart(t, server)
			pool.Reset()
			if d := take(t, s, bucket("a"), l, 1); d.Remaining != test.left {
				t.Errorf("%d remain after the crash, want %d", d.Remaining, test.left)
			}
		})
	}
}
