package storetest_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/storetest"
)

// version returns the record of one history at a version.
func version(n int64, label string) keys.Record {
	return keys.Record{ID: "key_1", Version: n, Label: label}
}

func TestHistories(t *testing.T) {
	t.Parallel()
	type ops = []storetest.Operation
	during := storetest.During
	insert := func(began, ended int64) storetest.Operation {
		return during(began, ended, "insert", storetest.Inserted(version(1, "a")))
	}
	update := func(began, ended, n int64) storetest.Operation {
		return during(began, ended, fmt.Sprint("update ", n-1), storetest.Updated(version(n, "a")))
	}
	conflict := func(began, ended, n int64) storetest.Operation {
		return during(began, ended, fmt.Sprint("conflict ", n), storetest.Conflicted(n))
	}
	get := func(began, ended, n int64) storetest.Operation {
		return during(began, ended, fmt.Sprint("get ", n), storetest.Found(version(n, "a")))
	}
	exists := func(began, ended int64) storetest.Operation {
		return during(began, ended, "exists", storetest.Existed())
	}
	nothing := func(began, ended int64) storetest.Operation {
		return during(began, ended, "nothing", storetest.Missed())
	}
	for _, tt := range []struct {
		name string
		ops  ops
		want string // part of the fault; "" if there is none
	}{
		{"nothing was done", nil, ""},
		{"nothing was there", ops{nothing(1, 2), nothing(3, 4)}, ""},
		{"one after the other", ops{nothing(1, 2), insert(3, 4), get(5, 6, 1), exists(7, 8), update(9, 10, 2), conflict(11, 12, 1), get(13, 14, 2)}, ""},
		{"in any order of notes", ops{get(13, 14, 2), update(9, 10, 2), insert(3, 4), nothing(1, 2)}, ""},
		{"read while it is written", ops{insert(1, 10), get(2, 3, 1), get(4, 5, 1)}, ""},
		{"missed while it is written", ops{insert(1, 10), nothing(2, 9)}, ""},
		{"old while another reads new", ops{insert(1, 2), update(3, 10, 2), get(4, 8, 2), get(5, 9, 1)}, ""},
		{"a conflict before the winner returns", ops{insert(1, 2), update(3, 10, 2), conflict(4, 5, 1)}, ""},
		{"updates that overlap in a chain", ops{insert(1, 20), update(2, 19, 2), update(3, 18, 3), get(4, 5, 3)}, ""},

		{"a stale read", ops{insert(1, 2), update(3, 4, 2), get(5, 6, 1)}, "get 1, although the call began after this one had returned: update 1"},
		{"new and then old", ops{insert(1, 2), update(3, 10, 2), get(4, 5, 2), get(6, 7, 1)}, "get 1, although the call began after this one had returned: get 2"},
		{"nothing after something", ops{insert(1, 9), get(2, 3, 1), nothing(4, 5)}, "nothing, although the call began after this one had returned: get 1"},
		{"nothing after the ID was taken", ops{insert(1, 9), exists(2, 3), nothing(4, 5)}, "nothing, although the call began after this one had returned: exists"},
		{"old after a conflict", ops{insert(1, 2), conflict(3, 4, 1), get(5, 6, 1), update(7, 8, 2)}, "get 1, although the call began after this one had returned: conflict 1"},
		{"read before it was written", ops{insert(1, 2), get(3, 4, 2), update(5, 6, 2)}, "update 1, although the call began after this one had returned: get 2"},
		{"an update before the one that it builds on", ops{insert(1, 2), update(3, 4, 3), update(5, 6, 2)}, "update 1, although the call began after this one had returned: update 2"},
		{"an update that got lost", ops{insert(1, 2), update(3, 4, 2), update(5, 6, 2)}, "two calls made version 2"},
		{"two inserts", ops{insert(1, 2), insert(3, 4)}, "two calls made version 1"},
		{"a write that was refused", ops{insert(1, 2), get(3, 4, 2)}, "get 2, which nobody made"},
		{"an update of nothing", ops{update(1, 2, 2)}, "update 1, although nobody made version 1"},
		{"a conflict with nobody", ops{insert(1, 2), conflict(3, 4, 1)}, "conflict 1, although the newest version ever made is 1"},
		{"taken by nobody", ops{exists(1, 2)}, "exists, although the newest version ever made is 0"},
		{"something else was read", ops{insert(1, 2), during(3, 4, "get", storetest.Found(version(1, "b")))}, "get, which differs from what was written (insert)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := storetest.Fault(tt.ops)
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}

// A step is an operation as a sequential store understands it: what was called,
// and what came of it.
type step struct {
	call         string
	record       keys.Record
	began, ended int64
}

func (s step) String() string {
	return fmt.Sprintf("%d-%d %s %d %s", s.began, s.ended, s.call, s.record.Version, s.record.Label)
}

// after returns the state after a step, and whether the step is what a store in
// the given state would do. State 0 is that there is no record.
func (s step) after(state keys.Record) (keys.Record, bool) {
	there := state.Version > 0
	switch s.call {
	case "insert":
		return s.record, !there
	case "exists":
		return state, there
	case "update":
		return s.record, there && state.Version == s.record.Version-1
	case "conflict":
		return state, there && state.Version != s.record.Version
	case "get":
		return state, there && state == s.record
	}
	return state, !there
}

// explicable searches for an order of the steps that a sequential store explains.
func explicable(state keys.Record, steps []step) bool {
	if len(steps) == 0 {
		return true
	}
	first := slices.MinFunc(steps, func(a, b step) int { return int(a.ended - b.ended) })
	for i, s := range steps {
		if s.began > first.ended {
			continue // something else had returned before it began
		}
		if next, ok := s.after(state); ok && explicable(next, slices.Delete(slices.Clone(steps), i, i+1)) {
			return true
		}
	}
	return false
}

// randomSteps returns a history of a sound store, of which some are then changed
// into ones that may not be.
func randomSteps(random *rand.Rand) []step {
	var steps []step
	var state keys.Record
	now := int64(0)
	add := func(call string, r keys.Record) {
		now += 4
		steps = append(steps, step{call: call, record: r, began: now - random.Int64N(12), ended: now + 1 + random.Int64N(12)})
	}
	for range 2 + random.IntN(4) {
		next := version(state.Version+1, string(rune('a'+random.IntN(2))))
		switch n := random.IntN(4); {
		case state.Version == 0 && n < 2:
			add("insert", next)
			state = next
		case state.Version == 0:
			add("nothing", state)
		case n == 0:
			add("update", next)
			state = next
		case n == 1:
			add("exists", state)
		case n == 2 && state.Version > 1:
			// The caller has seen the version that it wants to update.
			old := version(1+random.Int64N(state.Version-1), "")
			for _, s := range steps {
				if s.record.Version == old.Version && (s.call == "insert" || s.call == "update") {
					old = s.record
				}
			}
			add("conflict", old)
		default:
			add("get", state)
		}
	}
	for range random.IntN(3) {
		s := &steps[random.IntN(len(steps))]
		switch random.IntN(4) {
		case 0:
			s.record.Version = max(1, s.record.Version+random.Int64N(3)-1)
		case 1:
			s.record.Label = string(rune('a' + random.IntN(2)))
		case 2:
			s.began, s.ended = s.began+8, s.ended+8
		case 3:
			s.call = []string{"insert", "exists", "update", "get", "nothing"}[random.IntN(5)]
		}
		switch s.call { // what no caller can do is not of interest
		case "insert":
			s.record.Version = 1
		case "update":
			s.record.Version = max(2, s.record.Version)
		}
	}
	return steps
}

// distinct makes all times differ, as those of a clock that ticks for each call
// do, and keeps their order.
func distinct(steps []step) {
	var times []*int64
	for i := range steps {
		times = append(times, &steps[i].began, &steps[i].ended)
	}
	slices.SortStableFunc(times, func(a, b *int64) int { return int(*a - *b) })
	for i, t := range times {
		*t = int64(i)
	}
}

// sighted adds, for each conflict, the read by which its caller came to know the
// version, which had returned before.
func sighted(steps []step) []step {
	for _, s := range steps {
		if s.call == "conflict" {
			steps = append(steps, step{call: "get", record: s.record, began: s.began - 2, ended: s.began - 1})
		}
	}
	return steps
}

func (s step) operation() storetest.Operation {
	op := storetest.Missed()
	switch s.call {
	case "insert":
		op = storetest.Inserted(s.record)
	case "exists":
		op = storetest.Existed()
	case "update":
		op = storetest.Updated(s.record)
	case "conflict":
		op = storetest.Conflicted(s.record.Version)
	case "get":
		op = storetest.Found(s.record)
	}
	return storetest.During(s.began, s.ended, s.String(), op)
}

// The checker finds a fault exactly if no order of the calls explains all answers.
func TestHistoriesAreJudgedExactly(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	trials := 30_000
	if testing.Short() {
		trials = 3000
	}
	sound := 0
	for range trials {
		steps := sighted(randomSteps(random))
		distinct(steps)
		var ops []storetest.Operation
		for _, s := range steps {
			ops = append(ops, s.operation())
		}
		want := explicable(keys.Record{}, steps)
		if want {
			sound++
		}
		if fault := storetest.Fault(ops); (fault == "") != want {
			t.Fatalf("the checker says %q, the search that there is an order: %t\n%v", fault, want, steps)
		}
	}
	if sound < trials/5 || sound > trials*4/5 {
		t.Errorf("%d of %d histories were sound, want some of both kinds", sound, trials)
	}
}
