package keys

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"time"
)

// An Action says what an [Entry] is about.
type Action string

// Actions. Of a change that fits several, the entry has the first that fits in
// the order revoked, rotated, paused or resumed, changed; its Fields name all that
// changed.
const (
	ActionCreated Action = "created" // a key or a client was made or imported
	ActionChanged Action = "changed" // none of the following
	ActionPaused  Action = "paused"
	ActionResumed Action = "resumed" // is not paused any more
	ActionRotated Action = "rotated" // a key got a successor, a client a new secret
	ActionRevoked Action = "revoked"
	ActionRefused Action = "refused" // requests were refused; nothing changed
)

// ReasonTakenBack is the Reason in an [Entry] of a change that takes an earlier
// one back: the caller's rights ended while the earlier one was made.
const ReasonTakenBack = "taken_back"

// An Entry is one line of the trail of an organization: who did what to which
// credential, when and from where. It holds no secret and no digest. Entries are
// comparable values.
//
// Entries of one chain are linked. Each has the hash of the one before it in its
// own hash, so that a chain of which an entry was changed, removed or moved can be
// told from the one that was written: see [VerifyChain]. The hash is SHA-256 of
//
//	"claviger trail 1"         16 bytes
//	Previous                   32 bytes
//	Seq                        8 bytes, the most significant first
//	Content                    what Entry.Content returns
type Entry struct {
	Org   string `json:"org"`             // whose trail
	Chain string `json:"chain,omitempty"` // which of the organization's chains; see TrailStore
	Seq   int64  `json:"seq"`             // the position in the chain: 1, 2, 3 and so on

	// Time is when it happened, by the clock of the process that acted: in UTC,
	// and in whole milliseconds. Clocks differ, so it is Seq that says what came
	// first.
	Time   time.Time `json:"time"`
	Action Action    `json:"action"`

	// ID and Kind are those of the credential. They are empty in an entry about
	// several.
	ID   string `json:"id,omitempty"`
	Kind Kind   `json:"kind,omitempty"`
	// Version is that of the record after the change, 0 if nothing changed.
	Version int64 `json:"version,omitempty"`
	// Fields are the names of the fields that changed, with spaces between them,
	// as in the JSON of a record: "label scopes". Those of a new credential are
	// not named.
	Fields string `json:"fields,omitempty"`
	// Other is the other key of a rotation: the one that this one replaces, or its
	// successor.
	Other string `json:"other,omitempty"`

	// Actor is who did it: the ID of a lasting credential, or the host's name for
	// an actor, as in [Record.CreatedBy]. It is empty if nobody said.
	Actor string `json:"actor,omitempty"`
	// Address is where the request came from; the zero Addr if nobody said. See
	// [NewAddressContext].
	Address netip.Addr `json:"address,omitzero"`

	// Reason says why something was refused, as in an [Event], or that it was
	// taken back. Else it is empty, and the change was made.
	Reason string `json:"reason,omitempty"`
	// Count is how many refusals the entry stands for, and 0 for a change.
	Count int64 `json:"count,omitempty"`

	Previous ChainHash `json:"previous"` // the Hash of the entry before; zero for the first
	Hash     ChainHash `json:"hash"`
}

// A ChainHash is the hash of an [Entry]. Its text is hexadecimal.
type ChainHash [sha256.Size]byte

// String returns the hash in lower-case hexadecimal.
func (h ChainHash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText returns String.
func (h ChainHash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads what MarshalText gave.
func (h *ChainHash) UnmarshalText(text []byte) error {
	var next ChainHash
	if len(text) != hex.EncodedLen(len(next)) {
		return errors.New("keys: a hash is 64 hexadecimal digits")
	}
	if _, err := hex.Decode(next[:], text); err != nil {
		return errors.New("keys: a hash is 64 hexadecimal digits")
	}
	*h = next
	return nil
}

// A Link is a place in a chain: an entry's position and hash. The zero Link is
// before the first entry.
type Link struct {
	Seq  int64     `json:"seq"`
	Hash ChainHash `json:"hash"`
}

// Link returns the place of e.
func (e *Entry) Link() Link { return Link{e.Seq, e.Hash} }

// Follow returns e as it stands behind a place of its chain, which the caller has
// set: with the position, the hash of the entry before, and its own hash.
func (e Entry) Follow(l Link) Entry {
	e.Seq, e.Previous = l.Seq+1, l.Hash
	e.Hash = e.sum()
	return e
}

// entryTag begins what is hashed. It keeps the hash of an entry apart from those of
// other things, and has the version of the encoding.
const entryTag = "claviger trail 1"

// sum returns the hash that e must have.
func (e *Entry) sum() (h ChainHash) {
	sum := sha256.New()
	sum.Write([]byte(entryTag))
	sum.Write(e.Previous[:])
	sum.Write(binary.BigEndian.AppendUint64(nil, uint64(e.Seq)))
	sum.Write(e.Content())
	sum.Sum(h[:0])
	return h
}

// Content returns what the hash of e covers besides Previous and Seq: the other
// fields, in an encoding in which no two entries are the same. It is for stores
// whose database computes the hash. Text is its length in bytes and the text;
// lengths and numbers are 8 bytes, the most significant first. The fields stand in
// the order Org, Chain, Time in Unix milliseconds, Action, ID, Kind, Version, Fields,
// Other, Actor, Address as text or "", Reason, Count.
func (e *Entry) Content() []byte {
	c := make(content, 0, 256)
	c.text(e.Org)
	c.text(e.Chain)
	c.number(e.Time.UnixMilli())
	c.text(string(e.Action))
	c.text(e.ID)
	c.text(string(e.Kind))
	c.number(e.Version)
	c.text(e.Fields)
	c.text(e.Other)
	c.text(e.Actor)
	c.text(e.AddressText())
	c.text(e.Reason)
	c.number(e.Count)
	return c
}

// content is what Content has made so far.
type content []byte

func (c *content) number(n int64) { *c = binary.BigEndian.AppendUint64(*c, uint64(n)) }

func (c *content) text(text string) {
	c.number(int64(len(text)))
	*c = append(*c, text...)
}

// AddressText returns the address as text, or "" for the zero Addr.
func (e *Entry) AddressText() string {
	if !e.Address.IsValid() {
		return ""
	}
	return e.Address.String()
}

// Bounds on the fields of an entry that a record does not have.
const (
	maxAction = 16
	maxFields = 255
	maxReason = 64
)

// Validate returns nil if every field of e but its place in a chain is within the
// bounds that stores rely on, and else an [*InvalidError]. Text is valid UTF-8
// without NUL: Action up to 16 bytes, Fields up to 255, Reason up to 64, and IDs and
// Actor as in a [Record].
func (e *Entry) Validate() error {
	switch {
	case !possibleOrg(e.Org):
		return &InvalidError{FieldOrg, "is not 1 to 255 bytes of valid text"}
	case e.Action == "" || len(e.Action) > maxAction || !storable(string(e.Action)):
		return &InvalidError{FieldAction, "is not 1 to 16 bytes of valid text"}
	case len(e.ID) > MaxID || !storable(e.ID) || len(e.Other) > MaxID || !storable(e.Other):
		return &InvalidError{FieldID, "is not at most 255 bytes of valid text"}
	case len(e.Kind) > len(KindClient) || !storable(string(e.Kind)):
		return &InvalidError{FieldKind, "is unknown"}
	case len(e.Actor) > MaxID || !storable(e.Actor):
		return &InvalidError{FieldCreatedBy, "is not at most 255 bytes of valid text"}
	case len(e.Fields) > maxFields || !storable(e.Fields):
		return &InvalidError{FieldAction, "has fields of more than 255 bytes, or no valid text"}
	case len(e.Reason) > maxReason || !storable(e.Reason):
		return &InvalidError{FieldAction, "has a reason of more than 64 bytes, or no valid text"}
	case e.Time.IsZero() || !keepable(e.Time):
		return &InvalidError{FieldTime, "is missing, or not in whole milliseconds between 1970 and 9999"}
	case e.Version < 0 || e.Count < 0:
		return &InvalidError{FieldVersion, "is negative, or the count is"}
	case e.Address != e.Address.Unmap().WithZone(""):
		return &InvalidError{FieldAction, "has an address with a zone, or an IPv4 address in the form of IPv6"}
	}
	return nil
}
