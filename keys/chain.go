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
	// Seq is the position of the first entry that was changed, removed or put
	// there.
	Seq    int64
	Reason string // what is wrong with it: "is missing"
}

func (e *TamperError) Error() string {
	return fmt.Sprintf("%v: organization %q, chain %q: entry %d %s", ErrTampered, e.Org, e.Chain, e.Seq, e.Reason)
}

// Is reports whether target is [ErrTampered].
func (e *TamperError) Is(target error) bool { return target == ErrTampered }

// A Checkpoint is a [Link] of a chain, for a host to keep where whoever can write
// to the database cannot, such as in a log or a signed file. Such a person can
// replace a whole chain by another one that is consistent, or remove its beginning or
// its end with the note of how long it was. Only a checkpoint from before shows that.
type Checkpoint struct {
	Org   string `json:"org"`
	Chain string `json:"chain,omitempty"`
	Link
	Cut  int64     `json:"cut,omitempty"` // up to which position the chain was cut then
	Time time.Time `json:"time"`          // when it was made; it is compared with nothing
}

// VerifyChain reads the entries of one chain, which follow a place in it, and
// returns the place of the last one. Each must have the next position, the hash of
// the one before it, and the hash that its fields have. The known links are places
// that the chain must have: what checkpoints say, and the end that the store has
// noted. They may come in any order; those from before the first place are not
// looked at.
//
// The error is that of the entries, or a [*TamperError] for the first entry that is
// wrong. If an entry was written anew with a hash that fits it, the one after it
// does not fit, and the error names the former; if that was done to all that come
// after it as well, only a known link shows it, and the error names the entry of
// the link.
func VerifyChain(org, chain string, from Link, entries iter.Seq2[Entry, error], known ...Link) (Link, error) {
	last := from
	wrong := func(seq int64, reason string) error { return &TamperError{org, chain, seq, reason} }
	meets := func() error {
		for _, l := range known {
			if l.Seq == last.Seq && l.Hash != last.Hash {
				return wrong(l.Seq, "is another one than when its hash was noted")
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
