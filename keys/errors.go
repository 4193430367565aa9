package keys

import (
	"errors"
	"fmt"
)

// Errors of a [Store]. Package store has the first three under the same names.
var (
	// ErrNotFound reports an ID that no record has.
	ErrNotFound = errors.New("keys: no such credential")
	// ErrExists reports an ID that was used before.
	ErrExists = errors.New("keys: ID was used before")
	// ErrConflict reports a record that was changed since it was read.
	ErrConflict = errors.New("keys: record was changed meanwhile")
	// ErrCorrupt reports stored data that cannot be read: an empty, damaged
	// or unknown digest, or a record that is not the one asked for. A record
	// that is corrupt admits nobody.
	ErrCorrupt = errors.New("keys: stored data is corrupt")
	// ErrInvalid reports a value that a record cannot hold. The error in the
	// chain that has the details is an [*InvalidError].
	ErrInvalid = errors.New("keys: invalid value")
)

// Errors of a check. Callers must see no difference between the first three:
// they are told apart for logs and metrics.
var (
	// ErrMalformed reports text that no credential can be.
	ErrMalformed = errors.New("keys: malformed credential")
	// ErrUnknown reports a well-formed credential whose ID no record has.
	ErrUnknown = errors.New("keys: unknown credential")
	// ErrMismatch reports a secret that is not the one of the record.
	ErrMismatch = errors.New("keys: wrong secret")
	// ErrExpired reports a credential with the right secret whose time is
	// over, and changes to such a credential.
	ErrExpired = errors.New("keys: credential has expired")
	// ErrRevoked reports a credential with the right secret that was revoked,
	// or whose client was revoked or is over, and changes to such a credential.
	ErrRevoked = errors.New("keys: credential was revoked")
	// ErrUnavailable reports that the store could not answer. It wraps the
	// store's error.
	ErrUnavailable = errors.New("keys: store is unavailable")
)

// An InvalidError says which value cannot be part of a record, and why. It is
// [ErrInvalid] under [errors.Is], and does not quote the value.
type InvalidError struct {
	Field  string // "label", "environment", "rate limit", …
	Reason string // "is longer than 256 characters"
}

func (e *InvalidError) Error() string { return fmt.Sprintf("%v: %s %s", ErrInvalid, e.Field, e.Reason) }

// Is reports whether target is [ErrInvalid].
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }
