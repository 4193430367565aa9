package storetest

import (
	"slices"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
)

// CheckRecordsUpTo is [CheckRecords] by one clause and those that it builds on,
// or by all if the name is empty.
func CheckRecordsUpTo(t testing.TB, name string, open func(testing.TB) keys.Store, opts *Options[keys.Store]) []*Violation {
	return check(t, upTo(recordClauses, name), open, opts)
}

// CheckLimitsUpTo is [CheckLimits], as CheckRecordsUpTo is CheckRecords.
func CheckLimitsUpTo(t testing.TB, name string, open func(testing.TB) ratelimit.Store, opts *Options[ratelimit.Store]) []*Violation {
	return check(t, upTo(allLimitClauses, name), open, opts)
}

func upTo[S any](clauses []clause[S], name string) []clause[S] {
	if name == "" {
		return clauses
	}
	wanted := map[string]bool{name: true}
	var kept []clause[S]
	for _, c := range slices.Backward(clauses) { // what a clause builds on comes before it
		if wanted[c.Name] {
			kept = append(kept, c)
			for _, need := range c.Needs {
				wanted[need] = true
			}
		}
	}
	slices.Reverse(kept)
	return kept
}

// Operation, and what makes operations, for the tests of histories.
type Operation = operation

var (
	Inserted   = inserted
	Existed    = existed
	Updated    = updated
	Conflicted = conflicted
	Found      = found
	Missed     = missed
)

// During returns op with the times of its beginning and its end.
func During(began, ended int64, text string, op Operation) Operation {
	op.began, op.ended, op.text = began, ended, text
	return op
}

// Fault returns what is wrong with a history.
func Fault(ops []Operation) string { return history(ops).fault() }

// Fixtures returns what the kit makes of records of each kind: one with every
// field, what an Update makes of that, and one with the longest values.
func Fixtures() (full, changes, longest []keys.Record) {
	p := &probe{clause: "fixtures"}
	for _, kind := range kinds {
		r := p.full(kind, "a")
		full, changes, longest = append(full, r), append(changes, changed(r)), append(longest, p.longest(kind, "a"))
	}
	return full, changes, longest
}
