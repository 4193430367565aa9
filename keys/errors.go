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
	// or unknown digest, a record that is not the one asked for, or one of a
	// format that this version does not know. A record that is corrupt admits
	// nobody.
	ErrCorrupt = errors.New("keys: stored data is corrupt")
	// ErrInvalid reports a value that a record cannot hold. The error in the
	// chain that has the details is an [*InvalidError].
	ErrInvalid = errors.New("keys: invalid value")
)

// Errors of a check. Whoever presents a credential must see no difference between
// the first three. They are told apart for logs and metrics.
var (
	// ErrMalformed reports text that cannot be a credential.
	ErrMalformed = errors.New("keys: malformed credential")
	// ErrUnknown reports a well-formed credential whose ID no record has.
	ErrUnknown = errors.New("keys: unknown credential")
	// ErrMismatch reports a secret that is not the secret of the record.
	ErrMismatch = errors.New("keys: wrong secret")
	// ErrExpired reports that a credential has expired. A check returns it only if
	// the secret was right. Changes return it too.
	ErrExpired = errors.New("keys: credential has expired")
	// ErrRevoked reports that a credential was revoked, or that the client of a
	// token was revoked or has expired. A check returns it only if the secret was
	// right. Changes return it too.
	ErrRevoked = errors.New("keys: credential was revoked")
	// ErrPaused reports that a credential, or the client of a token, is paused. A
	// check returns it only if the secret was right. Rotations return it too.
	ErrPaused = errors.New("keys: credential is paused")
	// ErrUnavailable reports that there is no answer now: the store or the plan of
	// [Options] failed, what the store answered makes no sense, or too many checks
	// of slow digests wait. Errors that wrap it also wrap the cause. Only
	// ErrUnavailable leaves open whether the credential is good.
	ErrUnavailable = errors.New("keys: store is unavailable")
)

// Errors of changes on behalf of a caller: see [Manager.As].
var (
	// ErrCallerEnded reports that the caller's own credential was revoked, has
	// expired or was paused since it was checked. Nothing was done, or what was
	// done was taken back.
	ErrCallerEnded = errors.New("keys: the caller's credential has ended")
	// ErrBeyond reports a change that needs more than the caller has. The error
	// in the chain that has the details is a [*BeyondError].
	ErrBeyond = errors.New("keys: more than the caller has")
	// ErrReplaced reports a key whose end cannot be changed, since it has a
	// successor.
	ErrReplaced = errors.New("keys: key was replaced")
	// ErrLimitReached reports an organization that has as many live keys or
	// clients as it may have: see [Options.MaxKeys].
	ErrLimitReached = errors.New("keys: organization has as many credentials as it may have")
)

// Fields that an [InvalidError] or a [BeyondError] can be about.
const (
	FieldID            = "ID"
	FieldKind          = "kind"
	FieldOrg           = "organization"
	FieldParent        = "parent"
	FieldLabel         = "label"
	FieldScopes        = "scopes"
	FieldRateLimit     = "rate limit"
	FieldTokenLifetime = "token lifetime"
	FieldLifetime      = "lifetime"
	FieldEnvironment   = "environment"
	FieldNetworks      = "networks"
	FieldMetadata      = "metadata"
	FieldCreatedBy     = "creator"
	FieldReplaces      = "replaced key"
	FieldDigest        = "digest"
	FieldPrevious      = "previous digest"
	FieldTime          = "time"
	FieldVersion       = "version"
	FieldOverlap       = "overlap"
	FieldCursor        = "cursor"
	FieldLimit         = "limit"
	FieldAction        = "action"
)

// An InvalidError says which value cannot be part of a record, and why. It is
// [ErrInvalid] under [errors.Is], and does not quote the value.
type InvalidError struct {
	Field  string // one of FieldID and the other constants
	Reason string // "is longer than 256 characters"
}

func (e *InvalidError) Error() string { return fmt.Sprintf("%v: %s %s", ErrInvalid, e.Field, e.Reason) }

// Is reports whether target is [ErrInvalid].
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// A BeyondError names the field of which a change needs more than the caller has,
// such as the scopes. It is [ErrBeyond] under [errors.Is].
type BeyondError struct {
	Field string // FieldScopes, FieldRateLimit, FieldEnvironment, FieldNetworks or FieldLifetime
}

func (e *BeyondError) Error() string { return fmt.Sprintf("%v: %s", ErrBeyond, e.Field) }

// Is reports whether target is [ErrBeyond].
func (e *BeyondError) Is(target error) bool { return target == ErrBeyond }
