package sqlitestore_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/sqlitestore"
)

// ctx is for processes, which have no test.
var ctx = context.Background()

const hour = time.Hour

// addOne reads a record and writes it with a limit that is higher by one, until
// nobody comes in between.
func addOne(s *sqlitestore.Store) error {
	for {
		r, _, err := s.Get(ctx, "counter")
		if err != nil {
			return err
		}
		r.RateLimit++
		if err := s.Update(ctx, r); !errors.Is(err, keys.ErrConflict) {
			return err
		}
	}
}

// How many processes are killed at once, and how long each lives at most. The kills
// of one lane follow each other on one file; each eighth is on a new file, and may
// hit the making of its tables.
const (
	killLanes  = 4
	killWithin = 40 * time.Millisecond
)

// A step is what a worker reports: that it is about to do something, and then
// that it is done. Texts are those of the new secret.
type step struct {
	Op   string // create, client, token, secret, rotate, revoke
	Done bool
	ID   string // of what is changed, or was made
	New  string // the ID of what was made by a rotation
	Text string
}

// workUntilKilled makes, rotates and revokes credentials, in random order.
func workUntilKilled(path string, _ *bufio.Scanner, out io.Writer) error {
	s, err := sqlitestore.Open(path, patient())
	if err != nil {
		return err
	}
	manager, err := keys.NewManager(s, &keys.Options{Trail: true, Timeout: patience})
	if err != nil {
		return err
	}
	w := &worker{manager: manager, org: fmt.Sprintf("org_%d", os.Getpid()), report: json.NewEncoder(out)}
	for {
		if err := w.work(); err != nil {
			return err
		}
	}
}

// A worker knows which credentials it has and which are alive.
type worker struct {
	manager       *keys.Manager
	org           string
	report        *json.Encoder // one write for each line: it is read in full or not at all
	keys, clients []string
}

// work takes one step.
func (w *worker) work() error {
	pick := func(ids *[]string, remove bool) string {
		i := rand.IntN(len(*ids))
		id := (*ids)[i]
		if remove {
			*ids = append((*ids)[:i], (*ids)[i+1:]...)
		}
		return id
	}
	switch op := rand.IntN(6); {
	case op == 0 || len(w.keys) == 0:
		return w.take(step{Op: "create"}, func(st *step) (keys.Issued, error) {
			issued, err := w.manager.Create(ctx, w.org, keys.Spec{})
			w.keys = append(w.keys, issued.Record.ID)
			st.ID = issued.Record.ID
			return issued, err
		})
	case op == 1 || len(w.clients) == 0:
		return w.take(step{Op: "client"}, func(st *step) (keys.Issued, error) {
			issued, err := w.manager.Create(ctx, w.org, keys.Spec{Kind: keys.KindClient})
			w.clients = append(w.clients, issued.Record.ID)
			st.ID = issued.Record.ID
			return issued, err
		})
	case op == 2:
		return w.take(step{Op: "token", ID: pick(&w.clients, false)}, func(st *step) (keys.Issued, error) {
			client, err := w.manager.Get(ctx, w.org, keys.KindClient, st.ID)
			if err != nil {
				return keys.Issued{}, err
			}
			return w.manager.IssueToken(ctx, client, client.Scopes, hour)
		})
	case op == 3:
		return w.take(step{Op: "secret", ID: pick(&w.clients, false)}, func(st *step) (keys.Issued, error) {
			return w.manager.RotateSecret(ctx, w.org, st.ID, 0)
		})
	case op == 4:
		return w.take(step{Op: "rotate", ID: pick(&w.keys, true)}, func(st *step) (keys.Issued, error) {
			issued, err := w.manager.Rotate(ctx, w.org, st.ID, keys.Rotation{})
			w.keys = append(w.keys, issued.Record.ID)
			st.New = issued.Record.ID
			return issued, err
		})
	}
	ids, kind := &w.keys, keys.KindKey
	if rand.IntN(2) == 0 {
		ids, kind = &w.clients, keys.KindClient
	}
	return w.take(step{Op: "revoke", ID: pick(ids, true)}, func(st *step) (keys.Issued, error) {
		return keys.Issued{}, w.manager.Revoke(ctx, w.org, kind, st.ID)
	})
}

// take reports a step before and after it is taken.
func (w *worker) take(st step, do func(*step) (keys.Issued, error)) error {
	if err := w.report.Encode(st); err != nil {
		return err
	}
	issued, err := do(&st)
	if err != nil {
		return fmt.Errorf("%s of %s: %w", st.Op, st.ID, err)
	}
	st.Done = true
	if issued.Record.ID != "" {
		st.Text = issued.Text.Reveal()
	}
	return w.report.Encode(st)
}

// TestKill kills a process at random instants while it makes, rotates and
// revokes credentials. What it had acknowledged holds, what it had not is done
// or not done, and the file is whole.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("it needs other processes")
	}
	t.Parallel()
	var mu sync.Mutex
	doubts, done := make(map[string]int), 0
	t.Cleanup(func() { // after the lanes
		t.Logf("%d records acknowledged; not acknowledged, by step: %v", done, doubts)
		if done == 0 {
			t.Error("nothing was acknowledged")
		}
	})
	for lane := range killLanes {
		t.Run(fmt.Sprint(lane), func(t *testing.T) {
			t.Parallel()
			var path string
			var past []*history
			for round := range rounds(200, 48, 0) / killLanes {
				fresh := round%8 == 0
				if fresh {
					path, past = file(t), nil
				}
				h := newHistory()
				killOne(t, path, fresh, h)
				past = append(past, h)
				checkFile(t, path, past)
				mu.Lock()
				sure, _ := h.made()
				done += sure
				doubts[h.doubt.Op]++
				mu.Unlock()
				if t.Failed() {
					t.Fatalf("round %d", round)
				}
			}
		})
	}
}

// killOne starts a worker and kills it at a random instant: of its life if the
// file is new, otherwise of its work. It reads all that the worker had said.
func killOne(t *testing.T, path string, fresh bool, h *history) {
	t.Helper()
	p := launch(t, "worker", path)
	if !fresh {
		if !p.out.Scan() {
			t.Fatal("a worker ended by itself")
		}
		h.add(t, p.out.Bytes())
	}
	kill := time.AfterFunc(rand.N(killWithin), func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	for p.out.Scan() {
		h.add(t, p.out.Bytes())
	}
	var exit interface{ Exited() bool }
	if err := p.cmd.Wait(); !errors.As(err, &exit) || exit.Exited() {
		t.Fatalf("a worker ended by itself: %v", err)
	}
}
