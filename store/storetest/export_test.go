package storetest

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
