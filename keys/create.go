package keys

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// A Spec describes a new credential.
type Spec struct {
	// Kind is KindKey or KindClient. If empty, KindKey.
	Kind  Kind
	Label string // for people; at most MaxLabel characters
	// Scopes are the names of the scopes to grant. The always-granted ones of
	// the catalog are added.
	Scopes []string
	// RateLimit is in requests per minute. If zero, what the plan of the
	// organization gives, or the default of the Options if there are no plans.
	RateLimit int
	// Environment is one of the key format's. If empty, its first.
	Environment string
	// Lifetime is how long the credential is good, in whole milliseconds. If
	// zero, it is good until it is revoked, as with [Forever].
	Lifetime time.Duration
	// TokenLifetime is how long the tokens of a client live, in whole
	// milliseconds. If zero, the server's default. Keys have none.
	TokenLifetime time.Duration
	// Networks are those from which the credential may be used. If empty, all.
	Networks Networks
	// Metadata is the host's own text, at most MaxMetadata bytes.
	Metadata string
	// CreatedBy is the host's name for who makes the credential, with a colon
	// in it, such as "host:bootstrap" or "cli:anna". If empty, nobody is named.
	// Without a colon it may be the ID of a credential, which then counts as the
	// maker: see [Manager.RevokeDescendants]. An [Actor] puts its principal here.
	CreatedBy string
}

// Issued is a new credential and its record.
type Issued struct {
	Record Record
	// Text is the whole credential, as it goes into an Authorization header,
	// or the secret of a client. It is not stored, and cannot be read again.
	Text Secret
}

// LogValue returns the LogValue of the record, which holds no secret.
func (i Issued) LogValue() slog.Value { return i.Record.LogValue() }

// Create makes an API key or an OAuth client for org. The error wraps
//
//   - [ErrInvalid] for a value that a credential cannot have;
//   - [scopes.ErrGrant], with a [*scopes.GrantError], for scopes that cannot be
//     granted;
//   - [ErrUnavailable]; then a credential may have been made whose secret nobody has.
func (m *Manager) Create(ctx context.Context, org string, spec Spec) (Issued, error) {
	rec, err := m.record(org, spec)
	if err != nil {
		return Issued{}, err
	}
	return m.issue(ctx, rec)
}

// record returns the record of a new credential, still without ID and digest.
func (m *Manager) record(org string, spec Spec) (Record, error) {
	granted, err := m.catalog.Grant(spec.Scopes...)
	if err != nil {
		return Record{}, err
	}
	rec := Record{
		Kind: spec.Kind, Org: org, Label: spec.Label, Scopes: granted, RateLimit: spec.RateLimit,
		TokenLifetime: spec.TokenLifetime, Environment: spec.Environment, Networks: spec.Networks,
		Metadata: spec.Metadata, CreatedBy: spec.CreatedBy, CreatedAt: whole(time.Now()), Version: 1,
	}
	if rec.Kind == "" {
		rec.Kind = KindKey
	}
	if rec.Kind != KindKey && rec.Kind != KindClient {
		return Record{}, &InvalidError{FieldKind, "is neither that of a key nor that of a client"}
	}
	if rec.RateLimit == 0 && m.plan == nil {
		rec.RateLimit = m.rateLimit
	}
	if environments := m.key.Environments(); rec.Environment == "" && len(environments) > 0 {
		rec.Environment = environments[0]
	} else if rec.Environment != "" && !slices.Contains(environments, rec.Environment) {
		return Record{}, &InvalidError{FieldEnvironment, "is not one of the format's"}
	}
	if spec.Lifetime < 0 || !wholeLifetime(spec.Lifetime) {
		return Record{}, &InvalidError{FieldLifetime, "is negative or not in whole milliseconds"}
	}
	if spec.Lifetime > 0 {
		rec.ExpiresAt = endAfter(rec.CreatedAt, spec.Lifetime)
	}
	return rec, nil
}

// wholeLifetime reports whether a lifetime is in whole milliseconds, or Forever.
func wholeLifetime(d time.Duration) bool { return d == Forever || d%time.Millisecond == 0 }

// endAfter returns the time at which a lifetime ends that begins at from. The zero
// time means never.
func endAfter(from time.Time, d time.Duration) time.Time {
	if d == Forever {
		return time.Time{}
	}
	return whole(from.Add(d))
}

// issue draws an ID and a secret for rec, and inserts it.
func (m *Manager) issue(ctx context.Context, rec Record) (Issued, error) {
	issued := Issued{Record: rec}
	if err := m.complete(ctx, &issued); err != nil {
		return Issued{}, err
	}
	return issued, nil
}

// complete is issue for a record that is already in issued.
func (m *Manager) complete(ctx context.Context, issued *Issued) error {
	rec := &issued.Record
	format, environment := m.format(rec.Kind), ""
	if rec.Kind == KindKey {
		environment = rec.Environment
	}
	for draw := 1; ; draw++ {
		c, text, err := format.draw(environment)
		if err != nil {
			return err
		}
		// A copy, since c.ID is a part of text: otherwise whoever keeps the record
		// would keep the secret in memory.
		rec.ID, rec.Digest = strings.Clone(c.ID), m.hasher.digest(rec.Kind, c.Secret.Reveal())
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
	if err := m.put(ctx, rec); err != nil {
		return err
	}
	m.tell(ctx, Created, rec)
	return nil
}

// put is insert without the report to the hook.
func (m *Manager) put(ctx context.Context, rec *Record) error {
	if err := rec.Validate(); err != nil {
		return err
	}
	return m.store.Insert(m.inserting(ctx, rec), *rec)
}
