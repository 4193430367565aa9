package storetest

import "github.com/claviger-auth/claviger/keys"

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
