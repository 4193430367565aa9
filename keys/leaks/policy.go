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

	// Err says why the credential is not good any more: [keys.ErrExpired],
	// [keys.ErrRevoked] or [keys.ErrPaused]. If nil, it is good, and whoever has
	// found it can use it.
	Err error

	// Type is the name under which GitHub knows the pattern, URL is where the
	// credential was found, and may be empty, and Source says what that is, such as
	// "commit". They are as GitHub has sent them.
	Type, URL, Source string
}

// A Policy does what the host wants to be done about a credential that was found.
// It is called once for each place in which it was found, and again if the report
// comes again. The principal in its context is [Reporter] in the credential's
// organization. An error is logged, and the report is answered 503. It must be safe
// for concurrent use.
type Policy func(ctx context.Context, f Finding) error

// Reporter is the ID of the principal in the context of a [Policy].
const Reporter = "github:secret-scanning"

// Revoke returns a policy that revokes what was found, forever. What a key made
// goes on: a host that wants to end that too calls [keys.Manager.RevokeDescendants].
func Revoke(m *keys.Manager) Policy {
	return func(ctx context.Context, f Finding) error { return m.Revoke(ctx, f.Org, f.Kind, f.ID) }
}

// Pause returns a policy that pauses a key until somebody lets it go on. A token,
// which cannot be paused, is revoked.
func Pause(m *keys.Manager) Policy {
	revoke, disabled := Revoke(m), true
	return func(ctx context.Context, f Finding) error {
		if f.Kind == keys.KindToken {
			return revoke(ctx, f)
		}
		_, err := m.Change(ctx, f.Org, f.Kind, f.ID, keys.Change{Disabled: &disabled})
		if errors.Is(err, keys.ErrRevoked) {
			err = nil // it is good for nothing already
		}
		return err
	}
}
