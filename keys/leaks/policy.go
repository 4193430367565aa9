package leaks

import (
	"context"
	"errors"

	"github.com/claviger-auth/claviger/keys"
)

// A Finding is a credential that was found in public. Its secret was right.
type Finding struct {
	// Org, ID and Kind say what was found: a key or a token.
	Org, ID string
	Kind    keys.Kind

	// ReplacedBy is the ID of the key's successor, if it has one.
	ReplacedBy string

	// Err says why the credential is no longer good: [keys.ErrExpired],
	// [keys.ErrRevoked] or [keys.ErrPaused]. If nil, it is good, and whoever has
	// found it can use it.
	Err error

	// Type, URL and Source are as GitHub has sent them. Type is GitHub's name for the
	// pattern. URL is where the credential was found, and may be empty. Source says
	// what that place is, such as "commit".
	Type, URL, Source string
}

// A Policy does what the host wants to be done about a credential that was found. It is
// called once for each place in which the credential was found, and again if the report
// comes again. The principal in its context has the ID [Reporter] and the organization
// of the credential. If a Policy returns an error, the error is logged and the report is
// answered 503. A Policy must be safe for concurrent use.
type Policy func(ctx context.Context, f Finding) error

// Reporter is the ID of the principal in the context of a [Policy].
const Reporter = "github:secret-scanning"

// Revoke returns a policy that revokes what was found, forever. What a key has made
// stays good. A host that wants to end that too calls [keys.Manager.RevokeDescendants]
// in a policy of its own.
func Revoke(m *keys.Manager) Policy {
	return func(ctx context.Context, f Finding) error { return m.Revoke(ctx, f.Org, f.Kind, f.ID) }
}

// Pause returns a policy that pauses a key until somebody resumes it. It revokes a
// token, since a token cannot be paused.
func Pause(m *keys.Manager) Policy {
	revoke, disabled := Revoke(m), true
	return func(ctx context.Context, f Finding) error {
		if f.Kind == keys.KindToken {
			return revoke(ctx, f)
		}
		_, err := m.Change(ctx, f.Org, f.Kind, f.ID, keys.Change{Disabled: &disabled})
		if errors.Is(err, keys.ErrRevoked) {
			err = nil // a revoked key needs no pause
		}
		return err
	}
}
