package keys

import (
	"context"
	"errors"
	"iter"
	"math"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/scopes"
)

const (
	// maxTries bounds how often an update is tried again after a conflict.
	// Each conflict means that another writer got through.
	maxTries = 32
	// maxDraws bounds how often an ID that was used before is drawn again.
	maxDraws = 4
	// pageSize is how many records the manager asks a store for at once.
	pageSize = 100
)

// Forever is an overlap without an end: see [Manager.Rotate].
const Forever time.Duration = math.MaxInt64

// A Manager makes, changes and revokes credentials. It is safe for concurrent
// use, also by several processes on one store.
//
// Its methods take the organization that acts. A credential of another
// organization is not found, just as one that does not exist.
type Manager struct {
	store    Store
	verifier *Verifier
	settings
}

// NewManager returns a Manager over a store. A nil opts is the zero Options.
// The error says which option is wrong.
func NewManager(store Store, opts *Options) (*Manager, error) {
	if store == nil {
		return nil, errors.New("keys: NewManager needs a store")
	}
	s, err := newSettings(opts)
	if err != nil {
		return nil, err
	}
	return &Manager{store: store, verifier: newVerifier(store, s), settings: s}, nil
}

// Verifier returns the Verifier of m, over the same store with the same Options.
func (m *Manager) Verifier() *Verifier { return m.verifier }

// Catalog returns the catalog of scopes of the Options.
func (m *Manager) Catalog() *scopes.Catalog { return m.catalog }

// RateLimit returns the limit of credentials that are made without one, in
// requests per minute.
func (m *Manager) RateLimit() int { return m.rateLimit }

// A Spec says what a new credential is like.
type Spec struct {
	// Kind is KindKey or KindClient. If empty, KindKey.
	Kind  Kind
	Label string // for people; at most MaxLabel characters
	// Scopes are the names of the scopes to grant. The always-granted ones of
	// the catalog are added.
	Scopes []string
	// Environment is one of the format's; "" for its default.
	Environment string
	// Lifetime is how long the credential is good, in whole milliseconds; 0
	// for ever. It must not be negative.
	Lifetime time.Duration
	// RateLimit is in requests per minute; 0 for the default of the Options.
	RateLimit int
	// TokenLifetime is how long the tokens of a client live, in whole
	// milliseconds; 0 for the server's default. Keys have none.
	TokenLifetime time.Duration
}

// Issued is a new credential and its record.
type Issued struct {
	Record Record
	// Text is the whole credential, as it goes into an Authorization header,
	// or the secret of a client. This is the only time that it can be had.
	Text Secret
}

// Create makes an API key or an OAuth client for org. The error wraps [ErrInvalid], is a
// [*scopes.GrantError], or wraps the store's error.
func (m *Manager) Create(ctx context.Context, org string, spec Spec) (Issued, error) {
	rec, err := m.record(org, spec)
	if err != nil {
		return Issued{}, err
	}
	return m.issue(ctx, rec, spec.Environment)
}

// record returns the record of a new credential, as yet without ID and digest.
func (m *Manager) record(org string, spec Spec) (Record, error) {
	granted, err := m.catalog.Grant(spec.Scopes...)
	if err != nil {
		return Record{}, err
	}
	rec := Record{
		Kind: spec.Kind, Org: org, Label: spec.Label, Scopes: granted, RateLimit: spec.RateLimit,
		TokenLifetime: spec.TokenLifetime, CreatedAt: whole(time.Now()), Version: 1,
	}
	if rec.Kind == "" {
		rec.Kind = KindKey
	}
	if rec.Kind != KindKey && rec.Kind != KindClient {
		return Record{}, &InvalidError{"kind", "is neither that of a key nor that of a client"}
	}
	if rec.RateLimit == 0 {
		rec.RateLimit = m.rateLimit
	}
	if spec.Lifetime < 0 || spec.Lifetime%time.Millisecond != 0 {
		return Record{}, &InvalidError{"lifetime", "is negative or not in whole milliseconds"}
	}
	if spec.Lifetime > 0 {
		rec.ExpiresAt = rec.CreatedAt.Add(spec.Lifetime)
	}
	return rec, nil
}

// issue draws an ID and a secret for rec and inserts it.
func (m *Manager) issue(ctx context.Context, rec Record, environment string) (Issued, error) {
	issued := Issued{Record: rec}
	if err := m.complete(ctx, &issued, environment); err != nil {
		return Issued{}, err
	}
	return issued, nil
}

// complete is issue for a record that is in its place.
func (m *Manager) complete(ctx context.Context, issued *Issued, environment string) error {
	rec := &issued.Record
	format := m.format(rec.Kind)
	for draw := 1; ; draw++ {
		t, text, err := format.draw(environment)
		if err != nil {
			return err
		}
		// A copy, since t.ID is a part of text: whoever keeps the record must
		// not keep the secret with it.
		rec.ID, rec.Digest = strings.Clone(t.ID), m.hasher.digest(rec.Kind, t.Secret.Reveal())
		err = m.insert(ctx, rec)
		if errors.Is(err, ErrExists) && draw < maxDraws {
			continue
		}
		if err == nil {
			issued.Text = NewSecret(text)
		}
		return err
	}
}

// insert validates and inserts rec, and reports it to the hook.
func (m *Manager) insert(ctx context.Context, rec *Record) error {
	if err := validate(rec); err != nil {
		return err
	}
	if err := m.store.Insert(ctx, *rec); err != nil {
		return err
	}
	m.tell(ctx, Created, rec)
	return nil
}

// Import adds an API key that another system made, whose text is known. The
// options' Format must accept it, which for keys without the library's
// checksum means AllowForeign. A secret shorter than 32 characters is kept as
// an argon2id digest, which makes each check of it slow. The error wraps
// [ErrMalformed] if the format refuses the text, [ErrExists] if the ID was
// used before, and is else as for [Manager.Create]. The spec's Environment is
// not used: the text has one or has none.
func (m *Manager) Import(ctx context.Context, org string, text Secret, spec Spec) (Record, error) {
	t, err := m.key.Parse(text.Reveal())
	if err != nil {
		return Record{}, err
	}
	return m.ImportDigest(ctx, org, t.ID, m.hasher.digestImported(KindKey, t.Secret.Reveal()), spec)
}

// ImportDigest is Import for a key of whose secret only a digest is known,
// as [ParseDigest] reads it. A bcrypt or argon2id digest is replaced by the
// default one when its secret is first used, if that is 32 characters long or
// more.
func (m *Manager) ImportDigest(ctx context.Context, org, id string, d Digest, spec Spec) (Record, error) {
	if !m.key.ValidID(id) {
		return Record{}, ErrMalformed
	}
	rec, err := m.record(org, spec)
	if err != nil {
		return Record{}, err
	}
	if rec.Kind != KindKey {
		return Record{}, &InvalidError{"kind", "is not that of a key"}
	}
	rec.ID, rec.Digest = strings.Clone(id), d // id may be a part of a secret's text
	if err := m.insert(ctx, &rec); err != nil {
		return Record{}, err
	}
	return rec, nil
}

// Get returns a credential of org of any kind, revoked and expired ones
// included. The error wraps [ErrNotFound] or is the store's.
func (m *Manager) Get(ctx context.Context, org, id string) (Record, error) {
	rec, err := m.store.Get(ctx, id)
	switch {
	case err != nil:
		return Record{}, err
	case rec.ID != id:
		return Record{}, ErrCorrupt
	case rec.Org != org:
		return Record{}, ErrNotFound
	}
	return rec, nil
}

// List iterates over the credentials of one kind of org whose IDs come after
// the given one, in ascending byte order, revoked and expired ones included.
// It reads a page at a time. An error ends the iteration, and comes with the
// zero Record.
func (m *Manager) List(ctx context.Context, org string, kind Kind, after string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		q := Query{Org: org, Kind: kind, After: after, Limit: pageSize}
		for {
			page, err := m.store.List(ctx, q)
			if err != nil {
				yield(Record{}, err)
				return
			}
			for _, rec := range page {
				if !yield(rec, nil) {
					return
				}
			}
			if len(page) < q.Limit {
				return
			}
			q.After = page[len(page)-1].ID
		}
	}
}

// Recheck returns nil if the credential of a principal is still good. It is for
// handlers that let time pass between the check of a request and its effect,
// as by reading a body: whoever holds the body back must not act with a
// credential that was revoked meanwhile. A principal without a Kind is the
// host's own, and always good here. The error is [ErrRevoked], [ErrExpired], or
// wraps [ErrUnavailable].
func (m *Manager) Recheck(ctx context.Context, p Principal) error {
	if p.Kind == "" {
		return nil
	}
	var buf Record
	now := time.Now()
	rec, err := m.verifier.lookUp(ctx, p.ID, &buf)
	switch {
	case err == ErrUnknown, err == nil && (rec.Revoked() || rec.Org != p.Org):
		return ErrRevoked
	case err != nil:
		return err
	case rec.Expired(now):
		return ErrExpired
	case p.Client == "":
		return nil
	}
	client, err := m.verifier.lookUp(ctx, p.Client, &buf)
	return narrow(&p, client, err, now)
}

// LastUses returns when the credentials with the given IDs were last used, as
// far as the store keeps that (see [UseStore] and [Uses]): those that are not
// known to have been used are absent. The error is the store's.
func (m *Manager) LastUses(ctx context.Context, ids ...string) (map[string]time.Time, error) {
	store, ok := m.store.(UseStore)
	if !ok || len(ids) == 0 {
		return nil, nil
	}
	return store.LastUses(ctx, ids)
}

// A Change says what [Manager.Change] changes. Nil fields stay as they are.
type Change struct {
	Label     *string
	Scopes    *[]string // names to hold from now on, besides the always-granted ones
	RateLimit *int      // requests per minute
}

// Change changes the label, the scopes or the limit of a credential, and
// returns the new record. The error wraps [ErrNotFound], [ErrRevoked],
// [ErrInvalid] or [ErrConflict] (if the record keeps being changed by others),
// is a [*scopes.GrantError], or is the store's.
func (m *Manager) Change(ctx context.Context, org, id string, c Change) (Record, error) {
	rec, err := m.update(ctx, org, id, func(rec *Record) error {
		if rec.Revoked() {
			return ErrRevoked
		}
		if c.Label != nil {
			rec.Label = *c.Label
		}
		if c.RateLimit != nil {
			rec.RateLimit = *c.RateLimit
		}
		if c.Scopes != nil {
			granted, err := m.catalog.Grant(*c.Scopes...)
			if err != nil {
				return err
			}
			rec.Scopes = granted
		}
		return nil
	})
	if err == nil {
		m.tell(ctx, Changed, &rec)
	}
	return rec, err
}

// Revoke ends a credential at once and for ever. When it has returned nil, no
// check that starts later, on any node, accepts the credential or a token of
// it. Revoking again is no error and changes nothing. The error wraps
// [ErrNotFound] or [ErrConflict], or is the store's; then the credential may
// still be good, and the call should be made again.
func (m *Manager) Revoke(ctx context.Context, org, id string) error {
	_, err := m.revoke(ctx, org, id)
	return err
}

// revoke reports whether it was this call that revoked the credential.
func (m *Manager) revoke(ctx context.Context, org, id string) (revoked bool, err error) {
	rec, err := m.update(ctx, org, id, func(rec *Record) error {
		if rec.Revoked() {
			return errUnchanged
		}
		// A clock that is behind that of the node which made the record must
		// not date the end before the beginning.
		rec.RevokedAt = whole(time.Now())
		if rec.RevokedAt.Before(rec.CreatedAt) {
			rec.RevokedAt = rec.CreatedAt
		}
		return nil
	})
	if err == errUnchanged {
		return false, nil
	}
	if err == nil {
		m.tell(ctx, Revoked, &rec)
	}
	return err == nil, err
}

// RevokeAll revokes every key and every client of org, and with the clients
// their tokens. It returns how many it revoked, also beside an error, after
// which it should be called again. Credentials that are made while it runs may
// be missed: stop making them first.
func (m *Manager) RevokeAll(ctx context.Context, org string) (int, error) {
	n := 0
	for _, kind := range []Kind{KindKey, KindClient} {
		for rec, err := range m.List(ctx, org, kind, "") {
			if err != nil {
				return n, err
			}
			revoked, err := m.revoke(ctx, org, rec.ID)
			if err != nil {
				return n, err
			}
			if revoked {
				n++
			}
		}
	}
	return n, nil
}

// Sweep removes the tokens that were expired or revoked before the given time,
// in batches, until there are no more or ctx ends, and returns how many it
// removed. Hosts call it on a ticker. Keys and clients stay for ever.
func (m *Manager) Sweep(ctx context.Context, before time.Time) (int, error) {
	const batch = 1000
	for n := 0; ; {
		swept, err := m.store.Sweep(ctx, before, batch)
		n += swept
		if err != nil || swept < batch {
			return n, err
		}
	}
}

// errUnchanged is what an edit returns to leave a record as it is.
var errUnchanged = errors.New("keys: unchanged")

// update reads a record of org, edits it and writes it, and starts anew if
// another writer came in between. It returns the record as it is afterwards.
func (m *Manager) update(ctx context.Context, org, id string, edit func(*Record) error) (Record, error) {
	for try := 1; ; try++ {
		rec, err := m.Get(ctx, org, id)
		if err != nil {
			return Record{}, err
		}
		err = m.write(ctx, &rec, edit)
		if err == nil || try == maxTries || !errors.Is(err, ErrConflict) {
			return rec, err
		}
	}
}

// write edits rec and writes it, if nobody has since it was read.
func (m *Manager) write(ctx context.Context, rec *Record, edit func(*Record) error) error {
	next := *rec
	if err := edit(&next); err != nil {
		return err
	}
	if err := validate(&next); err != nil {
		return err
	}
	if err := m.store.Update(ctx, next); err != nil {
		return err
	}
	next.Version++
	*rec = next
	return nil
}

// validate is [Record.Validate], and what a limiter can keep.
func validate(rec *Record) error {
	if rec.RateLimit > MaxRateLimit {
		return &InvalidError{"rate limit", "is more than a billion requests per minute"}
	}
	return rec.Validate()
}

// tell reports an event to the hook.
func (m *Manager) tell(ctx context.Context, t EventType, rec *Record) {
	if m.hook != nil {
		m.hook(ctx, Event{Type: t, Time: time.Now(), Org: rec.Org, ID: rec.ID, Kind: rec.Kind})
	}
}
