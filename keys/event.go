package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
)

var eventNames = [...]string{"none", "created", "changed", "rotated", "revoked", "accepted", "refused", "used_replaced"}

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
// A [Manager] reports what it makes and changes. Whoever decides about requests
// reports those: a guard of package middleware, and the handlers of package
// oauth. A [Verifier] reports nothing, since it cannot know what becomes of the
// request.
type Event struct {
	Type EventType
	Time time.Time
	Org  string // empty if the credential is not known
	ID   string // public ID; empty if there was none to read
	Kind Kind   // empty if the credential is not known
	// Reason says why a request was refused, as one of the constants above,
	// and is empty for the other types.
	Reason string
	// Err is the error behind the reason [ReasonUnavailable], for logs, or of
	// a change that the library wanted to make on its own and could not.
	Err error
}

// A Hook receives events. It is called by the goroutine that caused the event,
// after the fact, and holds up that call until it returns: hand slow work to a
// goroutine of your own. It must be safe for concurrent use. The context is
// that of the call; [FromContext] tells who made a change, if the host put
// a principal there.
type Hook func(ctx context.Context, e Event)

// LogEvents returns a hook that logs to logger: accepted requests and those
// whose client has gone at level Debug, refused ones and changes at Info, and
// failures of the store at Error.
func LogEvents(logger *slog.Logger) Hook {
	return func(ctx context.Context, e Event) {
		level := slog.LevelInfo
		switch {
		case e.Reason == ReasonCanceled, e.Type == Accepted:
			level = slog.LevelDebug
		case e.Err != nil:
			level = slog.LevelError
		}
		if !logger.Enabled(ctx, level) {
			return
		}
		attrs := make([]slog.Attr, 0, 6)
		for _, a := range [...]slog.Attr{
			slog.String("org", e.Org), slog.String("id", e.ID),
			slog.String("kind", string(e.Kind)), slog.String("reason", e.Reason),
		} {
			if a.Value.String() != "" {
				attrs = append(attrs, a)
			}
		}
		if e.Err != nil {
			attrs = append(attrs, slog.Any("error", e.Err))
		}
		if by, ok := FromContext(ctx); ok && by.ID != e.ID {
			attrs = append(attrs, slog.String("by", by.ID))
		}
		logger.LogAttrs(ctx, level, "credential "+e.Type.String(), attrs...)
	}
}

// Reason returns the reason for a failed check as one of the constants above:
// [ReasonUnavailable] for an error that this package does not know.
func Reason(err error) string {
	switch {
	case err == ErrMalformed:
		return ReasonMalformed
	case err == ErrUnknown:
		return ReasonUnknown
	case err == ErrMismatch:
		return ReasonMismatch
	case err == ErrExpired:
		return ReasonExpired
	case err == ErrRevoked:
		return ReasonRevoked
	case err == ErrPaused:
		return ReasonPaused
	case errors.Is(err, context.Canceled):
		return ReasonCanceled
	}
	return ReasonUnavailable
}
