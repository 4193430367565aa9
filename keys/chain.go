package keys

import (
	"errors"
	"fmt"
	"iter"
	"time"
)

// ErrTampered reports a trail that is not as it was written. The error in the
// chain that has the details is a [*TamperError].
var ErrTampered = errors.New("keys: trail is not as it was written")

// A TamperError says where a chain is not as it was written. It is [ErrTampered]
// under [errors.Is].
type TamperError struct {
	Org, Chain string
	Seq        int64  // the position of the first entry that was changed, removed or added
	Reason     string // what is wrong with the entry, such as "is missing"
}

func (e *TamperError) Error() string {
	return fmt.Sprintf("%v: organization %q, chain %q: entry %d %s", ErrTampered, e.Org, e.Chain, e.Seq, e.Reason)
}

// Is reports whether target is [ErrTampered].
func (e *TamperError) Is(target error) bool { return target == ErrTampered }

// anotherEntry is the Reason if the hash of an entry is not the one that was noted.
const anotherEntry = "is another one than when its hash was noted"

// A Checkpoint is a [Link] of a chain. The host keeps it where nobody who can write
// to the database can change it, such as in a log or a signed file. Somebody who can
// write to the database can replace a whole chain by a consistent one, or remove its
// beginning or its end. Only an older checkpoint shows that.
type Checkpoint struct {
	Org   string `json:"org"`
	Chain string `json:"chain,omitempty"`
	Link
	Cut  int64     `json:"cut,omitempty"` // the position up to which the chain was cut then
	Time time.Time `json:"time"`          // when the checkpoint was made, for people only
}

// VerifyChain reads the entries of one chain that follow the link from, and returns
// the link of the last one. Each entry must have the next position, the hash of the
// entry before it, and the hash of its own fields. The known links must be in the
// chain too: those of checkpoints, and the end that the store has noted. They may
// come in any order. Known links before from are ignored.
//
// The error is that of the entries, or a [*TamperError] for the first entry that is
// wrong. If somebody rewrote an entry together with its hash, the entry after it does
// not fit, and the error names the former. If somebody rewrote all entries after it
// as well, only a known link shows it, and the error names the entry of that link.
func VerifyChain(org, chain string, from Link, entries iter.Seq2[Entry, error], known ...Link) (Link, error) {
	last := from
	wrong := func(seq int64, reason string) error { return &TamperError{org, chain, seq, reason} }
	meets := func() error {
		for _, l := range known {
			if l.Seq == last.Seq && l.Hash != last.Hash {
				return wrong(l.Seq, anotherEntry)
			}
		}
		return nil
	}
	if err := meets(); err != nil {
		return last, err
	}
	for e, err := range entries {
		switch {
		case err != nil:
			return last, err
		case e.Seq > last.Seq+1:
			return last, wrong(last.Seq+1, "is missing")
		case e.Seq <= last.Seq:
			return last, wrong(e.Seq, "stands where it does not belong")
		case e.Org != org || e.Chain != chain || e.Hash != e.sum():
			return last, wrong(e.Seq, "was changed")
		case e.Previous != last.Hash && last == from:
			return last, wrong(e.Seq, "does not follow on what comes before it")
		case e.Previous != last.Hash:
			return last, wrong(last.Seq, "was written anew, or the one after it")
		}
		last = e.Link()
		if err := meets(); err != nil {
			return last, err
		}
	}
	for _, l := range known {
		if l.Seq > last.Seq {
			return last, wrong(last.Seq+1, "is missing")
		}
	}
	return last, nil
}
