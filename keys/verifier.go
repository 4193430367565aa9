package keys

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Verifier checks credentials. It is safe for concurrent use.
type Verifier struct {
	store  Store
	family FamilyStore             // the store, if it is one
	view   func(id string) *Record // that of the store, if it is a LocalStore
	settings
}

// NewVerifier returns a Verifier over a store. A nil opts is the zero Options.
// The error says which option is wrong.
func NewVerifier(store Store, opts *Options) (*Verifier, error) {
	if store == nil {
		return nil, errors.New("keys: NewVerifier needs a store")
	}
	s, err := newSettings(opts)
	if err != nil {
		return nil, err
	}
	return newVerifier(store, s), nil
}

func newVerifier(store Store, s settings) *Verifier {
	v := &Verifier{store: store, settings: s}
	v.family, _ = store.(FamilyStore)
	if local, ok := store.(LocalStore); ok {
		if self, view := local.Local(); self == store {
			v.view = view
		}
	}
	return v
}

// Verify checks the text of an API key or an access token at the present time,
// and returns who it belongs to. It allocates nothing of its own.
//
// The error is one of [ErrMalformed], [ErrUnknown] and [ErrMismatch], which
// callers must not be able to tell apart; [ErrExpired] or [ErrRevoked], if the
// secret was right; or it wraps [ErrUnavailable], if the store could not
// answer or answered with nonsense. Only the last says nothing about the
// credential.
func (v *Verifier) Verify(ctx context.Context, text string) (Principal, error) {
	return v.VerifyAt(ctx, text, time.Now())
}

// VerifyAt is Verify at the time now.
func (v *Verifier) VerifyAt(ctx context.Context, text string, now time.Time) (p Principal, err error) {
	if strings.HasPrefix(text, v.token.prefix) {
		return v.verifyToken(ctx, text, now)
	}
	t, err := v.key.Parse(text)
	if err != nil {
		return Principal{}, v.refuse(ctx, now, nil, "", err)
	}
	var buf Record
	rec, err := v.lookUp(ctx, t.ID, &buf)
	if err := v.judge(ctx, KindKey, t, now, rec, err); err != nil {
		return Principal{}, err
	}
	if rec.Parent != "" {
		err := unavailable(fmt.Errorf("%w: a key with a parent", ErrCorrupt))
		return Principal{}, v.refuse(ctx, now, rec, t.ID, err)
	}
	v.accept(ctx, now, rec)
	p.set(rec, t.Environment)
	return p, nil
}

// verifyToken is VerifyAt for tokens, which are good for what their client is.
func (v *Verifier) verifyToken(ctx context.Context, text string, now time.Time) (p Principal, err error) {
	t, err := v.token.Parse(text)
	if err != nil {
		return Principal{}, v.refuse(ctx, now, nil, "", err)
	}
	var buf, parentBuf Record
	rec, parent, err := v.lookUpFamily(ctx, t.ID, &buf, &parentBuf)
	if err := v.judge(ctx, KindToken, t, now, rec, err); err != nil {
		return Principal{}, err
	}
	p.set(rec, t.Environment)
	if parent == nil {
		parent, err = v.lookUp(ctx, rec.Parent, &parentBuf)
	} else if parent.ID == "" {
		err = ErrUnknown
	} else {
		err = found(parent, rec.Parent)
	}
	if err := narrow(&p, parent, err, now); err != nil {
		return Principal{}, v.refuse(ctx, now, rec, t.ID, err)
	}
	v.accept(ctx, now, rec)
	return p, nil
}

// set makes p, which is zero, what a record stands for, without regard to its
// parent. It sets field by field: a literal would be made elsewhere and copied.
func (p *Principal) set(rec *Record, environment string) {
	p.Org, p.ID, p.Kind, p.Client = rec.Org, rec.ID, rec.Kind, rec.Parent
	p.Environment = environment
	p.Scopes, p.RateLimit, p.ExpiresAt = rec.Scopes, rec.RateLimit, rec.ExpiresAt
}

// VerifyClient checks the ID and the secret of an OAuth client, which travel as
// two values, and returns the client's record. The secret may be either of two
// that are live during a rotation. The errors are those of [Verifier.Verify].
func (v *Verifier) VerifyClient(ctx context.Context, id, secret string, now time.Time) (client Record, err error) {
	t, err := v.client.ParsePair(id, secret)
	if err != nil {
		return Record{}, v.refuse(ctx, now, nil, "", err)
	}
	rec, err := v.lookUp(ctx, t.ID, &client)
	if err := v.judge(ctx, KindClient, t, now, rec, err); err != nil {
		return Record{}, err
	}
	v.accept(ctx, now, rec)
	if rec != &client {
		client = *rec
	}
	return client, nil
}

// lookUp returns the record with an ID. It reads the records of a LocalStore
// where they are, and copies others to buf, which is on the caller's stack. The
// error is ErrUnknown, with a nil record, or wraps ErrUnavailable.
func (v *Verifier) lookUp(ctx context.Context, id string, buf *Record) (*Record, error) {
	if v.view != nil {
		if rec := v.view(id); rec != nil {
			return rec, found(rec, id)
		}
		return nil, ErrUnknown
	}
	var err error
	if *buf, err = v.store.Get(ctx, id); err != nil {
		return nil, notFound(err)
	}
	return buf, found(buf, id)
}

// lookUpFamily is lookUp for a record that has a parent. If the store has both
// at once, the parent is not nil, but zero if it is not there.
func (v *Verifier) lookUpFamily(ctx context.Context, id string, buf, parentBuf *Record) (rec, parent *Record, err error) {
	if v.view != nil || v.family == nil {
		rec, err = v.lookUp(ctx, id, buf)
		return rec, nil, err
	}
	if *buf, *parentBuf, err = v.family.GetFamily(ctx, id); err != nil {
		return nil, nil, notFound(err)
	}
	return buf, parentBuf, found(buf, id)
}

// found reports whether a record that a store returned can be the one that was
// asked for.
func found(rec *Record, id string) error {
	if rec.ID != id || rec.Org == "" || rec.RateLimit < 1 {
		return unavailable(fmt.Errorf("%w: not the record that was asked for", ErrCorrupt))
	}
	return nil
}

// notFound returns what the error of a store says.
func notFound(err error) error {
	if errors.Is(err, ErrNotFound) {
		return ErrUnknown
	}
	return unavailable(err)
}

func unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }

// judge is the one path by which a secret is accepted. The record and the error
// are those of lookUp.
func (v *Verifier) judge(ctx context.Context, kind Kind, t Credential, now time.Time, rec *Record, err error) error {
	secret := t.Secret.Reveal()
	if err == ErrUnknown {
		v.hasher.burn(kind, secret)
		return v.refuse(ctx, now, nil, t.ID, err)
	}
	if err == nil && rec.Kind != kind {
		err = unavailable(fmt.Errorf("%w: a record of kind %q in place of %q", ErrCorrupt, rec.Kind, kind))
	}
	if err != nil {
		return v.refuse(ctx, now, nil, t.ID, err)
	}
	match, err := v.hasher.matches(ctx, &rec.Digest, kind, secret)
	outdated := match && v.hasher.outdated(&rec.Digest, secret)
	if !match && err == nil && now.Before(rec.PreviousExpiresAt) {
		match, err = v.hasher.matches(ctx, &rec.Previous, kind, secret)
	}
	switch {
	case err != nil:
		return v.refuse(ctx, now, rec, t.ID, unavailable(err))
	case !match:
		return v.refuse(ctx, now, rec, t.ID, ErrMismatch)
	case rec.Revoked():
		return v.refuse(ctx, now, rec, t.ID, ErrRevoked)
	case rec.Expired(now):
		return v.refuse(ctx, now, rec, t.ID, ErrExpired)
	}
	if outdated {
		v.upgrade(ctx, *rec, secret, now)
	}
	return nil
}

// narrow holds p, a token, to what its client permits now. The parent and the
// error are those of lookUp.
func narrow(p *Principal, parent *Record, err error, now time.Time) error {
	switch {
	case err == ErrUnknown:
		return ErrRevoked
	case err != nil:
		return err
	case parent.Kind != KindClient || parent.Org != p.Org:
		return unavailable(fmt.Errorf("%w: the parent of %q is not a client of its organization", ErrCorrupt, p.ID))
	case parent.Revoked() || parent.Expired(now):
		return ErrRevoked
	}
	p.Scopes = p.Scopes.Intersect(parent.Scopes)
	p.RateLimit = min(p.RateLimit, parent.RateLimit)
	return nil
}

// upgrade replaces the digest of an accepted secret by the default one. It
// tries once: if somebody else changed the record or the store fails, the next
// use tries again.
func (v *Verifier) upgrade(ctx context.Context, rec Record, secret string, now time.Time) {
	rec.Digest = v.hasher.digest(rec.Kind, secret)
	err := v.store.Update(ctx, rec)
	if errors.Is(err, ErrConflict) {
		return
	}
	if v.hook != nil {
		v.hook(ctx, Event{Type: Changed, Time: now, Org: rec.Org, ID: rec.ID, Kind: rec.Kind, Err: err})
	}
}

// accept reports to the hook that a request was let in.
func (v *Verifier) accept(ctx context.Context, now time.Time, rec *Record) {
	if v.hook != nil {
		v.hook(ctx, Event{Type: Accepted, Time: now, Org: rec.Org, ID: rec.ID, Kind: rec.Kind})
	}
}

// refuse reports a refusal to the hook and returns err.
func (v *Verifier) refuse(ctx context.Context, now time.Time, rec *Record, id string, err error) error {
	if v.hook != nil {
		e := Event{Type: Refused, Time: now, Reason: reasonOf(err)}
		if rec != nil {
			e.Org, e.ID, e.Kind = rec.Org, rec.ID, rec.Kind
		} else {
			e.ID = strings.Clone(id) // it is a part of the credential's text
		}
		if e.Reason == ReasonUnavailable {
			e.Err = err
		}
		v.hook(ctx, e)
	}
	return err
}
