package middleware

import (
	"context"
	"errors"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// A Verifier checks the text of a credential at the time now, and returns who it
// belongs to. [*keys.Verifier] is one. Hosts write others, for the tokens of an
// identity provider or for sessions, and join them with [AnyOf].
//
// A principal that is returned must have an organization. It must have a RateLimit of
// at least 1, unless [Options.Limit] does not use that, or there are no limits;
// [Guard.Manage] always uses it. Otherwise the answer is 503. The [Guard] checks its
// Networks and its Scopes.
//
// The errors are those of [keys.Verifier.Verify]: [keys.ErrMalformed] for text of
// a form that is not the Verifier's, [keys.ErrUnknown] for a credential that it does
// not know, and so on. Every other error is a failure of the Verifier, and is
// answered 503. With an error, the principal permits nothing; its Org, ID, Kind
// and ReplacedBy may say what was presented, for the events of a guard.
//
// A Verifier must be safe for concurrent use.
type Verifier interface {
	VerifyAt(ctx context.Context, text string, now time.Time) (keys.Principal, error)
}

// AnyOf returns a Verifier that accepts what one of the given ones accepts. It
// asks them in their order, and goes on to the next one after [keys.ErrMalformed]
// and [keys.ErrUnknown]. Every other error is final: the credential is that
// Verifier's, and no good.
//
// A Verifier that fails with [keys.ErrUnavailable] may be the one that knows the
// credential. AnyOf then asks the others. If none of them accepts, it returns the
// failure, whatever they say, so that a store that is down never leads to a 401.
//
// AnyOf panics if it gets no Verifier, or a nil one.
func AnyOf(verifiers ...Verifier) Verifier {
	if len(verifiers) == 0 {
		panic("middleware: AnyOf needs a verifier")
	}
	for _, v := range verifiers {
		if v == nil {
			panic("middleware: AnyOf of a nil verifier")
		}
	}
	return anyOf(append([]Verifier(nil), verifiers...))
}

type anyOf []Verifier

// VerifyAt implements [Verifier].
func (all anyOf) VerifyAt(ctx context.Context, text string, now time.Time) (p keys.Principal, err error) {
	var claim keys.Claim
	err = all.verify(ctx, text, now, &p, &claim)
	return p, err
}

// verify is VerifyAt, but fills p, and claim with what was presented, which it does
// with an error too.
func (all anyOf) verify(ctx context.Context, text string, now time.Time, p *keys.Principal, claim *keys.Claim) error {
	said := keys.ErrMalformed // the answer of the last one that did not call it malformed
	var failed error
	for _, v := range all {
		var c keys.Claim
		err := verify(ctx, v, text, now, p, &c)
		switch {
		case err == nil:
			*claim = c
			return nil
		case errors.Is(err, keys.ErrUnavailable):
			if failed == nil {
				failed = err
			}
			continue
		case errors.Is(err, keys.ErrMalformed):
			continue
		}
		*claim, said = c, err
		if !errors.Is(err, keys.ErrUnknown) {
			break
		}
	}
	if failed != nil {
		*claim = keys.Claim{}
		return failed
	}
	return said
}

// verify asks v who a credential belongs to. It writes the answer to p, since a
// principal is large to copy, and to claim. With an error, p is zero.
//
// For the types that it knows, it calls a method that says more than VerifyAt. It
// does not look for that method in other types: a type that embeds a *keys.Verifier
// and has a VerifyAt of its own has the method too, and its own VerifyAt would not be
// called.
func verify(ctx context.Context, v Verifier, text string, now time.Time, p *keys.Principal, claim *keys.Claim) (err error) {
	switch v := v.(type) {
	case *keys.Verifier:
		*p, *claim, err = v.VerifyClaim(ctx, text, now)
	case anyOf:
		err = v.verify(ctx, text, now, p, claim)
	default:
		*p, err = v.VerifyAt(ctx, text, now)
		*claim = keys.Claim{Org: p.Org, ID: p.ID, Kind: p.Kind, ReplacedBy: p.ReplacedBy}
	}
	if err != nil {
		*p = keys.Principal{}
	}
	return err
}
