package storetest

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/claviger-auth/claviger/keys"
)

// An operation is one call about one ID, and what it shows about the versions of the
// ID's record. Version 0 means that there is no record.
type operation struct {
	began, ended int64  // on a clock that ticks for each call and each return
	text         string // what was called and what came of it

	// When the call took effect, the version was at most this before, and at
	// least this after. The two differ by one if the call wrote, are the same
	// if it read, and are bounds if it was refused.
	atMost, atLeast int64

	wrote *keys.Record // what the call stored, with the version it has then
	saw   *keys.Record // what the call returned
}

// anyVersion bounds nothing.
const anyVersion = math.MaxInt64

// inserted returns the operation of an Insert that stored r.
func inserted(r keys.Record) operation { return operation{atMost: 0, atLeast: 1, wrote: &r} }

// existed returns the operation of an Insert that was refused because the ID was used
// before.
func existed() operation { return operation{atMost: anyVersion, atLeast: 1} }

// updated returns the operation of an Update that stored r.
func updated(r keys.Record) operation {
	return operation{atMost: r.Version - 1, atLeast: r.Version, wrote: &r}
}

// conflicted returns the operation of an Update that was refused as out of date. Its
// caller had seen the version, so there must be a newer one.
func conflicted(version int64) operation {
	return operation{atMost: anyVersion, atLeast: version + 1}
}

// found returns the operation of a read that returned r.
func found(r keys.Record) operation {
	return operation{atMost: r.Version, atLeast: r.Version, saw: &r}
}

// missed returns the operation of a read or an Update that found no record.
func missed() operation { return operation{} }

// A history has the operations on one ID, in any order.
type history []operation

// fault returns what is wrong with the history: that is, why there is no order
// of the calls in which each takes effect at one instant between its beginning
// and its end, and in which a store that does one call after the other would
// have given the same answers. It returns "" if there is such an order.
//
// In general, finding such an order takes a search. Here it does not, since every
// write names the version that it makes. So the order of the writes is known, and for
// each other call it is known between which writes it must come. Call a pair of calls
// reversed if one must come before some write, the other after it, and the first began
// after the second had returned. There is an order of all calls exactly if no pair is
// reversed. To see this, let each write take effect as early as possible: when it and
// all calls that must come before it have begun. None of the calls that must come
// after it has returned by then, and the writes keep their order, since a later write
// has more calls before it.
func (h history) fault() string {
	writes := make(map[int64]operation)
	newest := int64(0)
	for _, op := range h {
		if op.wrote == nil {
			continue
		}
		version := op.wrote.Version
		if first, twice := writes[version]; twice {
			return fmt.Sprintf("two calls made version %d: %s; %s", version, first.text, op.text)
		}
		writes[version], newest = op, max(newest, version)
	}
	for version := range newest {
		if _, made := writes[version+1]; !made {
			return fmt.Sprintf("%s, although nobody made version %d", writes[newest].text, version+1)
		}
	}
	for _, op := range h {
		if text := op.invention(writes, newest); text != "" {
			return text
		}
	}
	return h.reversal()
}

// invention returns what is wrong with an operation that shows a state which never
// was, given all writes and the newest version that they made.
func (op operation) invention(writes map[int64]operation, newest int64) string {
	if op.saw != nil {
		write, made := writes[op.saw.Version]
		if !made {
			return op.text + ", which nobody made"
		}
		if lines := differences(*op.saw, *write.wrote); len(lines) > 0 {
			return fmt.Sprintf("%s, which differs from what was written (%s):\n\t%s", op.text, write.text, strings.Join(lines, "\n\t"))
		}
	}
	if op.atLeast > newest {
		return fmt.Sprintf("%s, although the newest version ever made is %d", op.text, newest)
	}
	return ""
}

// reversal returns which call shows an older state than another one that had returned
// before it began, if there is such a call.
func (h history) reversal() string {
	ended := slices.SortedFunc(slices.Values(h), func(a, b operation) int { return cmp.Compare(a.ended, b.ended) })
	began := slices.SortedFunc(slices.Values(h), func(a, b operation) int { return cmp.Compare(a.began, b.began) })
	var proof operation // of those that have returned, the one that shows the newest state
	for _, op := range began {
		for len(ended) > 0 && ended[0].ended < op.began {
			if ended[0].atLeast > proof.atLeast {
				proof = ended[0]
			}
			ended = ended[1:]
		}
		if op.atMost < proof.atLeast {
			return fmt.Sprintf("%s, although the call began after this one had returned: %s", op.text, proof.text)
		}
	}
	return ""
}
