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
	store *boundedStore
	view  func(id string) *Record // reads records in place, see localStore; may be nil
	cache *Cache                  // the store, if it is a Cache
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
	if err := s.trailed(store); err != nil {
		return nil, err
	}
	return newVerifier(store, s), nil
}

func newVerifier(store Store, s settings) *Verifier {
	cache, _ := store.(*Cache)
	return &Verifier{store: bounded(store, s.timeout), view: localView(store), cache: cache, settings: s}
}

// Verify checks the text of an API key or an access token at the present time,
// and returns who it belongs to. It allocates nothing of its own.
//
// The error is
//
//   - [ErrMalformed], [ErrUnknown] or [ErrMismatch]; whoever presents the credential
//     must not be able to tell these apart;
//   - [ErrExpired], [ErrRevoked] or [ErrPaused] if the secret was right;
//   - an error that wraps [ErrUnavailable] if the store did not answer, or its answer
//     makes no sense. If ctx has ended, it wraps the error of ctx too.
//
// Only ErrUnavailable leaves open whether the credential is good. [Reason] returns a
// word for each error.
//
// With an error the Principal is zero. A check whose error is nil counts as a
// use: see [Options.Uses].
func (v *Verifier) Verify(ctx context.Context, text string) (p Principal, err error) {
	var c Claim
	err = v.use(ctx, text, time.Now(), &p, &c)
	return p, err
}

// VerifyAt is like [Verifier.Verify], at the time now.
func (v *Verifier) VerifyAt(ctx context.Context, text string, now time.Time) (p Principal, err error) {
	var c Claim
	err = v.use(ctx, text, now, &p, &c)
	return p, err
}

// A Claim says which credential somebody presents, whether it is good or not. It is
// for logs and events.
type Claim struct {
	Org  string // empty if no record was found
	ID   string // the public ID; empty if the text has none
	Kind Kind   // empty if no record was found

	// ReplacedBy is the ID of the key's successor. It is empty if there is none,
	// or if the secret was not right.
	ReplacedBy string
}

// VerifyClaim is like [Verifier.VerifyAt], and also returns which credential was
// presented, even with an error.
func (v *Verifier) VerifyClaim(ctx context.Context, text string, now time.Time) (p Principal, c Claim, err error) {
	err = v.use(ctx, text, now, &p, &c)
	return p, c, err
}

// Inspect is like [Verifier.VerifyAt], but the check does not count as a use. It is for
// those who ask about a credential, such as token introspection (RFC 7662).
func (v *Verifier) Inspect(ctx context.Context, text string, now time.Time) (p Principal, err error) {
	var c Claim
	err = v.verify(ctx, text, now, &p, &c)
	return p, err
}

// InspectClaim is like [Verifier.Inspect], and also returns which credential was
// presented, even with an error.
func (v *Verifier) InspectClaim(ctx context.Context, text string, now time.Time) (p Principal, c Claim, err error) {
	err = v.verify(ctx, text, now, &p, &c)
	return p, c, err
}

// use is VerifyClaim. It writes its results to p and claim, which are zero.
func (v *Verifier) use(ctx context.Context, text string, now time.Time, p *Principal, claim *Claim) error {
	err := v.verify(ctx, text, now, p, claim)
	if err == nil && v.uses != nil {
		v.uses.Note(p.ID, now)
	}
	return err
}

// verify is use, but notes no use.
func (v *Verifier) verify(ctx context.Context, text string, now time.Time, p *Principal, claim *Claim) error {
	format, kind := v.key, KindKey
	if strings.HasPrefix(text, v.token.prefix) {
		format, kind = v.token, KindToken
	}
	c := presented{text: text}
	var err error
	if c.Credential, err = format.parse(text); err != nil {
		if c.Credential, err = v.parseOther(text, err); err != nil {
			return err
		}
	}
	claim.ID = c.ID
	if v.view == nil && v.cache == nil {
		var rec, parent Record // copies on the stack, which the other ways do not need
		err = v.read(ctx, c.ID, &rec, &parent)
		return v.decide(ctx, kind, &c, now, &rec, &parent, err, p, claim)
	}
	rec, parent, err := v.lookUp(ctx, c.ID, nil, nil)
	return v.decide(ctx, kind, &c, now, rec, parent, err, p, claim)
}

// decide is verify after the record and its parent were read. The argument err is the
// error of reading them.
func (v *Verifier) decide(ctx context.Context, kind Kind, c *presented, now time.Time, rec, parent *Record, err error, p *Principal, claim *Claim) error {
	if err == nil {
		claim.Org, claim.ID, claim.Kind = rec.Org, rec.ID, rec.Kind
	}
	err = v.judge(ctx, kind, c, now, rec, err)
	if err == nil || err == ErrRevoked || err == ErrExpired || err == ErrPaused {
		claim.ReplacedBy = rec.ReplacedBy // the secret was right
	}
	if err != nil {
		return err
	}
	return v.fill(ctx, p, rec, parent, now)
}

// fill sets p to the principal of a good record. The error says that the parent is not
// good, or that the plan failed.
func (v *Verifier) fill(ctx context.Context, p *Principal, rec, parent *Record, now time.Time) error {
	lasting, granted, figure, end := rec, rec.Scopes, rec.RateLimit, rec.ExpiresAt
	if rec.Kind == KindToken {
		if err := checkParent(ctx, rec, parent, now); err != nil {
			return err
		}
		lasting, granted = parent, granted.Intersect(parent.Scopes)
		figure, end = lower(figure, parent.RateLimit), earlier(end, parent.ExpiresAt)
	} else if rec.Parent != "" {
		return corrupt(ctx, "a "+string(rec.Kind)+" with a parent")
	}
	limit, err := v.limit(ctx, rec.Org, figure)
	if err != nil {
		return err
	}
	p.Org, p.ID, p.Kind, p.Client = rec.Org, rec.ID, rec.Kind, rec.Parent
	p.Scopes, p.RateLimit, p.ExpiresAt = granted, limit, end
	p.Label, p.Networks, p.Metadata = lasting.Label, lasting.Networks, lasting.Metadata
	p.CreatedBy, p.Replaces, p.ReplacedBy = lasting.CreatedBy, lasting.Replaces, lasting.ReplacedBy
	p.Environment = v.environment(lasting)
	return nil
}

// environment returns the environment of a key or a client. If the record of a key has
// none, it is the one in the key's ID.
func (s *settings) environment(rec *Record) string {
	if rec.Environment == "" && rec.Kind == KindKey {
		return s.key.environment(rec.ID)
	}
	return rec.Environment
}

// checkParent returns an error unless a token's client is good at now.
func checkParent(ctx context.Context, rec, parent *Record, now time.Time) error {
	switch {
	case parent == nil || parent.ID == "":
		return ErrRevoked
	case parent.ID != rec.Parent || parent.Kind != KindClient || parent.Org != rec.Org:
		return corrupt(ctx, "a token whose parent is not a client of its organization")
	case parent.Revoked() || parent.Expired(now):
		return ErrRevoked
	case parent.Disabled():
		return ErrPaused
	}
	return nil
}

// VerifyClient checks the ID and the secret of an OAuth client, and returns the
// client's record. During a rotation it accepts both secrets. It does not know where
// the request comes from, so the caller checks the record's Networks. The errors are
// those of [Verifier.Verify].
func (v *Verifier) VerifyClient(ctx context.Context, id, secret string, now time.Time) (client Record, err error) {
	c := presented{text: secret}
	if c.Credential, err = v.parsePair(id, secret); err != nil {
		return Record{}, err
	}
	var parent Record
	rec, _, err := v.lookUp(ctx, c.ID, &client, &parent)
	if err := v.judge(ctx, KindClient, &c, now, rec, err); err != nil {
		return Record{}, err
	}
	if v.uses != nil {
		v.uses.Note(rec.ID, now)
	}
	return *rec, nil
}

// lookUp returns the record with an ID and its parent, which is nil or zero if there
// is none. If it has to copy records, it copies them into the two buffers. The error
// is ErrUnknown, or wraps ErrUnavailable.
func (v *Verifier) lookUp(ctx context.Context, id string, buf, parentBuf *Record) (rec, parent *Record, err error) {
	switch {
	case v.view != nil:
		return v.readInPlace(ctx, id)
	case v.cache != nil:
		return v.readCached(ctx, id)
	}
	return buf, parentBuf, v.read(ctx, id, buf, parentBuf)
}

// readCached is lookUp for a store with a cache in front.
func (v *Verifier) readCached(ctx context.Context, id string) (rec, parent *Record, err error) {
	if rec, parent, err = v.cache.lookUp(ctx, id); err != nil {
		return nil, nil, unknown(ctx, err)
	}
	return rec, parent, plausible(ctx, rec, id)
}

// readInPlace is lookUp for a local store.
func (v *Verifier) readInPlace(ctx context.Context, id string) (rec, parent *Record, err error) {
	if rec = v.view(id); rec == nil {
		return nil, nil, ErrUnknown
	}
	if rec.Parent != "" {
		parent = v.view(rec.Parent)
	}
	return rec, parent, plausible(ctx, rec, id)
}

// read is lookUp for any other store.
func (v *Verifier) read(ctx context.Context, id string, rec, parent *Record) (err error) {
	if *rec, *parent, err = v.store.Get(ctx, id); err != nil {
		return unknown(ctx, err)
	}
	return plausible(ctx, rec, id)
}

// unknown returns the error of a check for the error of a read.
func unknown(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, ErrNotFound):
		return ErrUnknown
	case errors.Is(err, ErrUnavailable):
		return err
	}
	return unavailable(ctx, err) // an error that makes no sense here, such as a conflict
}

// plausible returns an error if the record cannot be the one that was asked for.
func plausible(ctx context.Context, rec *Record, id string) error {
	if rec.ID != id || rec.Org == "" || rec.RateLimit < 0 {
		return corrupt(ctx, "not the record that was asked for")
	}
	return nil
}

// corrupt returns the error for a store that answered with nonsense.
func corrupt(ctx context.Context, what string) error {
	return unavailable(ctx, fmt.Errorf("%w: %s", ErrCorrupt, what))
}

// judge decides whether a credential is good. No other code accepts a secret. The
// record and the error are those of lookUp.
func (v *Verifier) judge(ctx context.Context, kind Kind, c *presented, now time.Time, rec *Record, err error) error {
	if err == ErrUnknown {
		v.hasher.burn(kind, c)
		return err
	}
	if err != nil {
		return err
	}
	if rec.Kind != kind {
		return corrupt(ctx, "a "+string(rec.Kind)+" in place of a "+string(kind))
	}
	match, err := v.hasher.matches(ctx, &rec.Digest, kind, c)
	outdated := match && v.hasher.outdated(&rec.Digest, c.Secret.Reveal())
	if !match && err == nil && now.Before(rec.PreviousExpiresAt) {
		match, err = v.hasher.matches(ctx, &rec.Previous, kind, c)
	}
	switch {
	case err != nil:
		return unavailable(ctx, err)
	case !match:
		return ErrMismatch
	case rec.Revoked():
		return ErrRevoked
	case rec.Expired(now):
		return ErrExpired
	case rec.Disabled():
		return ErrPaused
	}
	if outdated {
		v.upgrade(ctx, *rec, c.Secret.Reveal(), now)
	}
	return nil
}

// upgradeActor is who replaces digests, in the trail.
const upgradeActor = "claviger:upgrade"

// upgrade replaces the digest of an accepted secret by the default one. It tries once.
// If the store fails, somebody else has changed the record, or the caller has gone,
// the next use tries again.
func (v *Verifier) upgrade(ctx context.Context, rec Record, secret string, now time.Time) {
	old := rec
	rec.Digest = v.hasher.digest(rec.Kind, secret)
	err := v.store.Update(v.updating(v.by(ctx, upgradeActor), &old, &rec), rec)
	if v.cache != nil {
		v.cache.forget(rec.ID)
	}
	if errors.Is(err, ErrConflict) || errors.Is(err, context.Canceled) {
		return
	}
	if v.hook != nil {
		v.hook(ctx, Event{Type: Changed, Time: now, Org: rec.Org, ID: rec.ID, Kind: rec.Kind, Err: err})
	}
}
