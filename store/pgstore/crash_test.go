package pgstore_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/pgstore"
	"github.com/claviger-auth/claviger/store/storetest"
	"github.com/claviger-auth/claviger/store/storetest/servers"
)

const hostLanes = 4 // of TestHostKilled, at once

// TestHostKilled kills a process of the host's at random instants while it
// makes and revokes keys. What was acknowledged to it is there, and nothing is
// half made.
func TestHostKilled(t *testing.T) {
	t.Parallel()
	name := schema(t)
	s := openIn(t, name, nil)
	kills := rounds(200, 40, 0)
	for lane := range hostLanes {
		t.Run(fmt.Sprintf("lane=%d", lane), func(t *testing.T) {
			t.Parallel()
			for range kills / hostLanes {
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
	storetest.CheckTrail(t, s, org)
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
	m := manager(t, s)
	for round := range rounds(4, 2, 0) {
		acknowledged := writeUntilKilled(t, server, m)
		restart(t, server)
		pool.Reset()
		for text, want := range acknowledged {
			if _, err := m.Verifier().Verify(t.Context(), text); !errors.Is(err, want) {
				t.Fatalf("round %d: a key of %d that were acknowledged is %s, want %s", round, len(acknowledged), verdict(err), verdict(want))
			}
		}
	}
	forgets(t, server, pool)
}

// writeUntilKilled makes and revokes keys until the server is killed, at a
// random instant, and returns what was acknowledged of them.
func writeUntilKilled(t *testing.T, server *servers.Server, m *keys.Manager) map[string]error {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	acknowledged := make(map[string]error)
	due := 10 + rand.IntN(50)
	kill, killed := make(chan struct{}), make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				issued, err := m.Create(t.Context(), "acme", keys.Spec{})
				if err != nil {
					select {
					case <-killed:
						return
					default:
						continue // it may be about to be
					}
				}
				text := issued.Text.Reveal()
				mu.Lock()
				acknowledged[text] = nil
				if len(acknowledged) == due {
					close(kill)
				}
				mu.Unlock()
				err = m.Revoke(t.Context(), "acme", keys.KindKey, issued.Record.ID)
				mu.Lock()
				acknowledged[text] = keys.ErrRevoked
				if err != nil {
					acknowledged[text] = errUnsure
				}
				mu.Unlock()
			}
		})
	}
	<-kill
	<-time.After(time.Duration(rand.Int64N(int64(3 * time.Millisecond))))
	server.Kill()
	close(killed)
	wg.Wait()
	maps.DeleteFunc(acknowledged, func(_ string, err error) bool { return err == errUnsure })
	return acknowledged
}

// errUnsure marks a key that may be revoked or not.
var errUnsure = errors.New("unsure")

// forgets checks that the server is one that forgets what nobody waited for,
// and what the package says of limits: a take under SyncTake is kept, and one
// without it goes the way of the host's own rows. The server may happen to write
// just before it is killed, so a few tries are made.
func forgets(t *testing.T, server *servers.Server, pool *pgxpool.Pool) {
	t.Helper()
	execute(t, pool, `CREATE TABLE control (n int)`)
	execute(t, pool, `CHECKPOINT`)
	l := limit(t, 1.0/86400, 10)
	var rows, takes bool // were forgotten
	for try := range 8 {
		var stores [2]*pgstore.Store
		for i := range stores {
			stores[i] = openOn(t, pool, "claviger", &pgstore.Options{SyncTake: i == 0})
		}
		b, other := bucket(fmt.Sprint(try)), bucket(fmt.Sprint("other ", try))
		take(t, stores[0], b, l, 3)
		take(t, stores[1], other, l, 3)
		execute(t, pool, `INSERT INTO control VALUES ($1)`, try)
		server.Kill()
		restart(t, server)
		pool.Reset()
		if d := take(t, stores[0], b, l, 1); d.Remaining != 6 {
			t.Errorf("%d remain after a take that waited for the disk, and another, want 6", d.Remaining)
		}
		takes = takes || take(t, stores[1], other, l, 1).Remaining == 9
		rows = rows || value[int](t, pool, `SELECT count(*) FROM control WHERE n = $1`, try) == 0
		if takes && rows {
			return
		}
	}
	t.Errorf("takes were forgotten: %t, rows: %t; that the rest was kept proves nothing", takes, rows)
}
