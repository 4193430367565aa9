package keys

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// An EventType says what happened to a credential.
type EventType uint8

const (
	Created      EventType = iota + 1 // a record was inserted
	Changed                           // a record was changed in a way that has no type of its own
	Rotated                           // a successor was made, or a secret replaced
	Revoked                           // revoked, forever
	Accepted                          // a request was let in
	Refused                           // a request was not let in
	UsedReplaced                      // a request was let in with a key that has a successor
	UsedEnded                         // a request was not let in with a key that has ended and has a successor
	Leaked                            // somebody has found the credential in public
)

var eventNames = [...]string{"none", "created", "changed", "rotated", "revoked", "accepted", "refused", "used_replaced", "used_ended", "leaked"}

// String returns the type in lower case, such as "created".
func (t EventType) String() string {
	if int(t) < len(eventNames) {
		return eventNames[t]
	}
	return fmt.Sprintf("EventType(%d)", uint8(t))
}

// Reasons of refusals, short and fixed, as labels for logs and metrics.
const (
	ReasonNoCredential = "no_credential"
	ReasonSeveral      = "several_credentials"
	ReasonMalformed    = "malformed"
	ReasonUnknown      = "unknown"
	ReasonMismatch     = "wrong_secret"
	ReasonExpired      = "expired"
	ReasonRevoked      = "revoked"
	ReasonPaused       = "paused"
	ReasonNetwork      = "address_not_allowed"
	ReasonLimit        = "rate_limited"
	ReasonScope        = "insufficient_scope"
	ReasonUnavailable  = "unavailable"
	ReasonCanceled     = "canceled" // the client has gone
)

// An Event tells a [Hook] what happened. It holds no secret.
//
// A [Manager] reports what it makes and changes. Requests are reported by what
// decides about them: a guard of package middleware, and the handlers of package
// oauth. A [Verifier] reports no requests, since it does not know what becomes of
// them.
//
// Two types tell how a rotation goes. UsedReplaced says that somebody still uses the
// old key. UsedEnded is an alarm: somebody has lost access because they still use the
// old key, or somebody has found a key that was given up. Each comes at most once a
// minute for each key and guard, however often the key is used.
type Event struct {
	Type EventType
	Time time.Time
	Org  string // empty if the credential is not known
	ID   string // public ID; empty if there was none to read
	Kind Kind   // empty if the credential is not known
	// Reason is one of the constants above. With Refused and UsedEnded it says why
	// the request was refused. With Leaked it says why the credential is no longer
	// good, and is empty if it is good. It is empty for the other types.
	Reason string
	// ReplacedBy is the ID of the key's successor, if it has one, with
	// UsedReplaced, UsedEnded and Leaked.
	ReplacedBy string
	// Err is for logs. With [ReasonUnavailable] it is the cause. With Changed it
	// says why a [Verifier] could not replace a digest, see [Options.Peppers]. With
	// Leaked it is the error of the host's policy, see package leaks.
	Err error
}

// A Hook receives events. The goroutine that caused an event calls the Hook
// afterwards, and waits for it. So a Hook should hand slow work to another goroutine.
// It must be safe for concurrent use. The context is that of the call; [FromContext]
// says who made a change, if the host put a principal there.
type Hook func(ctx context.Context, e Event)

// Reason returns the reason for the error of a check, as one of the constants above,
// and "" for nil. It returns [ReasonCanceled] if the error wraps [context.Canceled],
// and [ReasonUnavailable] if it wraps [ErrUnavailable] or is not an error of a check.
func Reason(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.Canceled):
		return ReasonCanceled
	case errors.Is(err, ErrUnavailable):
		return ReasonUnavailable
	}
	for i := range verdicts {
		if errors.Is(err, verdicts[i].err) {
			return verdicts[i].reason
		}
	}
	return ReasonUnavailable
}

// verdicts are the reasons for errors that say what is wrong with a credential.
var verdicts = [...]struct {
	err    error
	reason string
}{
	{ErrMalformed, ReasonMalformed},
	{ErrUnknown, ReasonUnknown},
	{ErrMismatch, ReasonMismatch},
	{ErrExpired, ReasonExpired},
	{ErrRevoked, ReasonRevoked},
	{ErrPaused, ReasonPaused},
}
