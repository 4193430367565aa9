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

// Actions. If several fit a change, its entry has the first of these that fits:
// revoked, rotated, paused or resumed, changed. The Fields of the entry name all that
// changed.
const (
	ActionCreated Action = "created" // a key or a client was made or imported
	ActionChanged Action = "changed" // a change that is none of the following
	ActionPaused  Action = "paused"
	ActionResumed Action = "resumed" // a pause was ended
	ActionRotated Action = "rotated" // a key got a successor, or a client a new secret
	ActionRevoked Action = "revoked"
	ActionRefused Action = "refused" // requests were refused; nothing changed
)

// ReasonTakenBack is the Reason in an [Entry] of a change that takes an earlier
// change back, because the caller's rights ended while that was made.
const ReasonTakenBack = "taken_back"

// An Entry is one line of the trail of an organization: who did what to which
// credential, when and from where. It holds no secret and no digest. Entries are
// comparable values.
//
// Entries of one chain are linked: the hash of each covers the hash of the one
// before it. So [VerifyChain] finds out if an entry was changed, removed or moved.
// The hash is SHA-256 of
//
//	"claviger trail 1"         16 bytes
//	Previous                   32 bytes
//	Seq                        8 bytes, the most significant first
//	Content                    what Entry.Content returns
type Entry struct {
	Org   string `json:"org"`             // whose trail
	Chain string `json:"chain,omitempty"` // which of the organization's chains; see TrailStore
	Seq   int64  `json:"seq"`             // the position in the chain: 1, 2, 3 and so on

	// Time is when it happened, by the clock of the process that acted, in UTC and
	// in whole milliseconds. Clocks differ, so only Seq says what came first.
	Time   time.Time `json:"time"`
	Action Action    `json:"action"`

	// ID and Kind are those of the credential. They are empty in an entry about
	// several credentials.
	ID   string `json:"id,omitempty"`
	Kind Kind   `json:"kind,omitempty"`
	// Version is the version of the record after the change, or 0 if nothing
	// changed.
	Version int64 `json:"version,omitempty"`
	// Fields are the names of the fields that changed, such as "label scopes": the
	// names in the JSON of a record, with spaces between them. They are empty for a
	// new credential.
	Fields string `json:"fields,omitempty"`
	// Other is the other key of a rotation: the key that this one replaces, or the
	// successor of this one.
	Other string `json:"other,omitempty"`

	// Actor is who did it: the ID of a lasting credential, or the host's name for
	// an actor, as in [Record.CreatedBy]. It is empty if nobody said.
	Actor string `json:"actor,omitempty"`
	// Address is where the request came from; the zero Addr if nobody said. See
	// [NewAddressContext].
	Address netip.Addr `json:"address,omitzero"`

	// Reason says why requests were refused, as in an [Event]. It is
	// ReasonTakenBack for a change that takes an earlier one back, and empty for
	// all other changes.
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

// MarshalText returns [ChainHash.String].
func (h ChainHash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads what MarshalText returned. On error h is unchanged.
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

// A Link is a place in a chain: the position and the hash of an entry. The zero Link
// is the place before the first entry.
type Link struct {
	Seq  int64     `json:"seq"`
	Hash ChainHash `json:"hash"`
}

// Link returns the position and the hash of e.
func (e *Entry) Link() Link { return Link{e.Seq, e.Hash} }

// Follow returns e as the entry that comes after l: with its position, the hash of
// the entry before it, and its own hash. It is for stores, which set Chain first.
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

// Content returns what the hash of e covers besides Previous and Seq. It is for
// stores whose database computes the hash. It encodes the other fields, in the order
// Org, Chain, Time in Unix milliseconds, Action, ID, Kind, Version, Fields, Other,
// Actor, AddressText, Reason, Count. A text is encoded as its length in bytes,
// followed by the text. A length or a number takes 8 bytes, the most significant
// first. Different fields never have the same encoding.
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

// content is an encoding that Content is writing.
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

// Validate returns nil if the fields of e are within the bounds that stores rely on,
// and otherwise an [*InvalidError]. It does not check the place in a chain: Chain,
// Seq and the hashes. Text must be valid UTF-8 without NUL: Action from 1 to 16 bytes,
// Kind up to 6, Fields up to 255, Reason up to 64, and Org, IDs and Actor as in a
// [Record].
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
