// Package benchmarks measures Claviger beside what the same work costs at the
// least, and beside other libraries that do a part of it, in one run:
//
//	GOWORK=off go test -C examples/benchmarks -run '^$' -bench .
//
// It is a module of its own, so that nobody who uses Claviger depends on what it
// is compared with. README.md says what is measured and how to read it; package
// report turns the output into tables.
//
// The names of the cases end in impl=NAME. "floor" is code written by hand for
// the one case, which does the least that the work can be done with and keeps
// few of the promises that a library makes; the comment of each floor says
// which. All other names but "claviger" are libraries, as they ship.
//
// One op is one request, one decision or one exchange. Every case fails if an
// answer is not the one that is expected, and the tests of this package check
// that each implementation accepts what is good and refuses what is bad.
package benchmarks
