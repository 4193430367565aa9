package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
)

// reminded returns what the hook was told of keys that have a successor, since it
// was last asked.
func (e *env) reminded() (events []keys.Event) {
	for _, event := range e.told() {
		if event.Type == keys.UsedReplaced || event.Type == keys.UsedEnded {
			event.Time = time.Time{}
			events = append(events, event)
		}
	}
	return events
}

// TestReplacedKeyIsWatched uses a key after it was rotated, until its end and after
// it. However often it is used, the hook is told once a minute.
func TestReplacedKeyIsWatched(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		old := env.issue("acme", keys.Spec{})
		next, err := env.manager.Rotate(t.Context(), "acme", old.Record.ID, keys.Rotation{Overlap: 5 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		h := env.guard.Authenticated()(ok)
		use := func(text string, status int) {
			t.Helper()
			for range 5 {
				if got := serve(h, request("GET", "Bearer "+text)).Code; got != status {
					t.Fatalf("status %d, want %d", got, status)
				}
			}
		}
		want := func(when string, events ...keys.Event) {
			t.Helper()
			if got := env.reminded(); fmt.Sprint(got) != fmt.Sprint(events) {
				t.Errorf("%s: told %+v, want %+v", when, got, events)
			}
		}
		replaced := keys.Event{Type: keys.UsedReplaced, Org: "acme", ID: old.Record.ID, Kind: keys.KindKey, ReplacedBy: next.Record.ID}
		ended := replaced
		ended.Type, ended.Reason = keys.UsedEnded, keys.ReasonExpired
		revoked := ended
		revoked.Reason = keys.ReasonRevoked
		text := old.Text.Reveal()

		use(text, 204)
		use(next.Text.Reveal(), 204)
		want("at once", replaced)
		time.Sleep(time.Minute - time.Millisecond) // on the test's own clock
		use(text, 204)
		want("within the minute")
		time.Sleep(time.Millisecond) // on the test's own clock
		use(text, 204)
		want("after a minute", replaced)
		time.Sleep(4*time.Minute - time.Millisecond) // on the test's own clock
		use(text, 204)
		want("just before the end", replaced)
		time.Sleep(time.Millisecond) // on the test's own clock
		use(text, 401)
		want("just after the end", ended)
		use(wrongSecret(t, old.Record.ID), 401)
		want("a wrong secret")
		time.Sleep(time.Minute) // on the test's own clock
		use(wrongSecret(t, old.Record.ID), 401)
		want("a wrong secret later")
		if err := env.manager.Revoke(t.Context(), "acme", keys.KindKey, old.Record.ID); err != nil {
			t.Fatal(err)
		}
		use(text, 401)
		want("revoked", revoked)
		if err := env.manager.Revoke(t.Context(), "acme", keys.KindKey, next.Record.ID); err != nil {
			t.Fatal(err)
		}
		use(next.Text.Reveal(), 401)
		want("a revoked key without a successor")
	})
}

// A paused key has not ended.
func TestPausedKeyIsNoAlarm(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	old := env.issue("acme", keys.Spec{})
	yes := true
	_, err1 := env.manager.Rotate(t.Context(), "acme", old.Record.ID, keys.Rotation{Overlap: keys.Forever})
	_, err2 := env.manager.Change(t.Context(), "acme", keys.KindKey, old.Record.ID, keys.Change{Disabled: &yes})
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if w := serve(env.guard.Authenticated()(ok), request("GET", "Bearer "+old.Text.Reveal())); w.Code != 401 {
		t.Fatalf("%d", w.Code)
	}
	if got := env.reminded(); len(got) > 0 {
		t.Errorf("%+v", got)
	}
}

// replacedKeys returns a guard to which every key has a successor, a function that uses
// the key with an ID there, and how often the hook was told of each ID.
func replacedKeys(t *testing.T) (g *middleware.Guard, use func(id string), told map[string]int) {
	t.Helper()
	told = make(map[string]int)
	var current string
	g, err := middleware.NewGuard(
		says(func() (keys.Principal, error) {
			return keys.Principal{Org: "acme", ID: current, Kind: keys.KindKey, ReplacedBy: "next"}, nil
		}), nil,
		&middleware.Options{Hook: func(_ context.Context, e keys.Event) {
			if e.Type == keys.UsedReplaced {
				told[e.ID]++
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	return g, func(id string) {
		t.Helper()
		current = id
		if _, err := g.Check(request("GET", "Bearer x"), middleware.Need{}); err != nil {
			t.Fatal(err)
		}
	}, told
}

// TestRemindersAreBounded uses more replaced keys than are remembered: each is told
// of at first, and a few that are used all the time are hardly told of twice.
func TestRemindersAreBounded(t *testing.T) {
	t.Parallel()
	const many = middleware.MaxReminded + 1000
	g, use, told := replacedKeys(t)
	for i := range many {
		for _, id := range []string{fmt.Sprint(i), "loud"} {
			use(id)
			if n := g.Reminded(); n > middleware.MaxReminded {
				t.Fatalf("%d keys are remembered", n)
			}
		}
	}
	if len(told) != many+1 || told["loud"] != 2 || told["0"] != 1 {
		t.Errorf("told of %d keys, %d times of the loud one", len(told), told["loud"])
	}
}

// TestRemindersOfOthersStay fills the room with keys that were used lately, and uses one
// again that was told of a minute ago: the others are not told of again for that.
func TestRemindersOfOthersStay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, use, told := replacedKeys(t)
		use("loud")
		time.Sleep(time.Minute - time.Second) // on the test's own clock
		for i := range middleware.MaxReminded - 1 {
			use(fmt.Sprint(i))
		}
		time.Sleep(time.Second) // on the test's own clock
		use("loud")
		use("0")
		if told["loud"] != 2 || told["0"] != 1 {
			t.Errorf("told %d times of the loud one, %d times of another", told["loud"], told["0"])
		}
	})
}
