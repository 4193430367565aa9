// Package benchmarks measures Claviger in one run with floors, which are the least
// code that can do the same work, and with other libraries that do a part of it:
//
//	GOWORK=off go test -C examples/benchmarks -run '^$' -bench .
//
// It is a module of its own, so that nobody who uses Claviger depends on the other
// libraries. README.md says what is measured and how to read it; package report turns
// the output into tables.
//
// The names of the cases end in impl=NAME. A floor is code written by hand for one
// case. It does the least that the work can be done with, and keeps few of the
// promises that a library makes; the comment of each floor says which. All other
// names but "claviger" are libraries, as they are released.
//
// One op is one request, one decision or one exchange. A case fails if an answer is
// not the expected one, and the tests of this package check that each implementation
// accepts what is good and refuses what is bad.
package benchmarks
