package keys

import (
	"context"
	"errors"
	"strings"
	"time"
)

// A Foreign is a credential that another system made. Its owner goes on using it as
// before.
type Foreign struct {
	Org  string
	Spec Spec // the kind, what the credential may do, and so on

	// ID is the public ID of the record. For a client it is the ID that the other
	// system uses. For a key it is what [Format.ForeignID] or [Format.DerivedID]
	// returns; it may be empty if there is a Text.
	ID string

	// Text is the whole text of a key, or the secret of a client. It is empty if it
	// is not known; then there must be a Digest.
	Text Secret

	// Digest is what the other system keeps of the text, see [ForeignDigest]. If
	// there is a Text too, the Digest must be of that text.
	Digest Digest

	// CreatedAt is when the credential was made. If zero, now. The other times are
	// as in [Record]; ExpiresAt takes the place of the lifetime of Spec. All are
	// cut to whole milliseconds.
	CreatedAt, ExpiresAt, RevokedAt, DisabledAt time.Time
}

// Imported is what became of a [Foreign], or would become of it.
type Imported struct {
	// Record is the record that was made, or would be made. If Existed is true, it
	// is the record in the store.
	Record Record
	// Existed says that the credential was imported before. Nothing was done.
	Existed bool
	// Err is nil, or says why the credential is not in the store. It wraps
	// [ErrMalformed] if none of the formats of the Options takes the text or the
	// ID, [ErrInvalid] or [scopes.ErrGrant] for a value that is no good,
	// [ErrExists] if another credential has the ID, or [ErrUnavailable].
	Err error
}

// Import adds an API key that another system made, and whose text is known. One of
// the formats of the Options must accept the text. For keys without the library's
// checksum that takes [FormatOptions.AllowForeign] or [Options.OtherFormats]. A secret
// shorter than 32 characters is kept as an argon2id digest, which makes each check
// slow. If the ID names an environment, that of the spec is ignored. The error is as
// in [Imported], and wraps [ErrExists] if the key was imported before.
func (m *Manager) Import(ctx context.Context, org string, text Secret, spec Spec) (Record, error) {
	return m.importOne(ctx, &Foreign{Org: org, Spec: spec, Text: text})
}

// ImportDigest is like [Manager.Import], for a key or a client of which only a digest
// is known, see [ForeignDigest]. When the secret is first used, the digest is replaced
// by the default one. A slow digest of a secret shorter than 32 characters is not
// replaced.
func (m *Manager) ImportDigest(ctx context.Context, org, id string, d Digest, spec Spec) (Record, error) {
	return m.importOne(ctx, &Foreign{Org: org, Spec: spec, ID: id, Digest: d})
}

func (m *Manager) importOne(ctx context.Context, f *Foreign) (Record, error) {
	rec, err := m.foreignRecord(ctx, f, false)
	if err == nil {
		err = m.insert(ctx, &rec)
	}
	if err != nil {
		return Record{}, err
	}
	return rec, nil
}

// ImportAll adds credentials that another system made. It returns what became of
// each, in the same order. A credential that was imported before is left as it is, so
// an interrupted import can be started again. A [BatchStore] writes all of them in
// one transaction. Then a call must have no more than the store can write within
// [Options.Timeout]: some hundreds. Several calls at the same time are faster, but with
// a trail their transactions take turns. If the store fails, the credentials that are
// not in it have an error that wraps [ErrUnavailable].
func (m *Manager) ImportAll(ctx context.Context, list []Foreign) []Imported {
	done := make([]Imported, len(list))
	for i := range list {
		done[i].Record, done[i].Err = m.foreignRecord(ctx, &list[i], false)
	}
	var failed error
	if m.store.batches() {
		failed = m.putAll(ctx, done)
	} else {
		m.putEach(ctx, done)
	}
	for i := range done {
		d := &done[i]
		if !errors.Is(d.Err, ErrExists) {
			continue
		}
		m.compare(ctx, &list[i], d)
		if failed != nil && errors.Is(d.Err, ErrNotFound) {
			d.Err = failed // the ID was there twice, and the batch was undone
		}
	}
	return done
}

// putEach inserts the records without an error, until the store fails.
func (m *Manager) putEach(ctx context.Context, done []Imported) {
	var failed error
	for i := range done {
		d := &done[i]
		if d.Err != nil {
			continue
		}
		if d.Err = failed; failed == nil {
			if d.Err = m.insert(ctx, &d.Record); errors.Is(d.Err, ErrUnavailable) {
				failed = d.Err
			}
		}
	}
}

// putAll is putEach in one transaction. It returns the error of the transaction.
func (m *Manager) putAll(ctx context.Context, done []Imported) error {
	errs := make([]error, len(done))
	failed := m.writeBatch(ctx, func(ctx context.Context) error {
		for i := range done {
			if done[i].Err == nil {
				if errs[i] = m.put(ctx, &done[i].Record); errors.Is(errs[i], ErrUnavailable) {
					return errs[i]
				}
			}
		}
		return nil
	})
	for i := range done {
		d := &done[i]
		if d.Err != nil {
			continue
		}
		if d.Err = failed; errs[i] != nil {
			d.Err = errs[i]
		}
		if d.Err == nil {
			m.tell(ctx, Created, &d.Record)
		}
	}
	return failed
}

// writeBatch makes one transaction of what f writes. With a trail, one such transaction
// runs at a time. A transaction that adds to a chain keeps all others out of the chain
// until it commits. So several would wait for each other until they time out, or
// deadlock until the database ends one of them.
func (m *Manager) writeBatch(ctx context.Context, f func(ctx context.Context) error) error {
	if m.trail {
		select {
		case m.imports <- struct{}{}:
			defer func() { <-m.imports }()
		case <-ctx.Done():
			return unavailable(ctx, ctx.Err())
		}
	}
	return m.store.batch(ctx, f)
}

// CheckImport returns what [Manager.ImportAll] would return, and writes nothing. It
// reads the store once for each credential.
func (m *Manager) CheckImport(ctx context.Context, list []Foreign) []Imported {
	done := make([]Imported, len(list))
	for i := range list {
		d := &done[i]
		if d.Record, d.Err = m.foreignRecord(ctx, &list[i], true); d.Err == nil {
			d.Err = d.Record.Validate()
		}
		if d.Err == nil {
			m.compare(ctx, &list[i], d)
		}
		if errors.Is(d.Err, ErrNotFound) {
			d.Err = nil
		}
	}
	return done
}

// compare checks whether the record in the store with the ID of d is that of f.
func (m *Manager) compare(ctx context.Context, f *Foreign, d *Imported) {
	found, err := m.Find(ctx, d.Record.ID)
	if err == nil {
		var same bool
		if same, err = m.sameForeign(ctx, f, &d.Record, &found); err == nil && !same {
			err = ErrExists
		}
	}
	if d.Err = err; err == nil {
		d.Record, d.Existed = found, true
	}
}

// sameForeign reports whether found is the record of f, even if it was changed since
// it was imported.
func (m *Manager) sameForeign(ctx context.Context, f *Foreign, rec, found *Record) (bool, error) {
	if found.Org != rec.Org || found.Kind != rec.Kind {
		return false, nil
	}
	if f.Text.Len() == 0 {
		own := found.Digest.alg == algSHA256 || found.Digest.alg == algHMAC // as after the first use
		return own || found.Digest == f.Digest, nil
	}
	c, err := m.parseImport(f)
	if err != nil {
		return false, err
	}
	for _, d := range []*Digest{&found.Digest, &found.Previous} {
		if d.IsZero() {
			continue
		}
		match, err := m.hasher.matches(ctx, d, rec.Kind, &c)
		if err != nil {
			return false, unavailable(ctx, err)
		}
		if match {
			return true, nil
		}
	}
	// A client that was changed since may have been given other secrets.
	return found.Kind == KindClient && found.Version > 1, nil
}

// foreignRecord returns the record of a credential of another system. If dry is true,
// the record will not be written, and has noDigestWeak in place of a digest that is
// slow to make.
func (m *Manager) foreignRecord(ctx context.Context, f *Foreign, dry bool) (Record, error) {
	c, err := m.parseImport(f)
	if err != nil {
		return Record{}, err
	}
	spec, kind := f.Spec, kindOf(f)
	if env := m.key.environment(c.ID); env != "" && kind == KindKey {
		spec.Environment = env
	}
	rec, err := m.record(f.Org, spec)
	if err != nil {
		return Record{}, err
	}
	if rec.Digest, err = m.foreignDigest(ctx, f, &c, dry); err != nil {
		return Record{}, err
	}
	rec.ID = strings.Clone(c.ID) // which may be a part of a secret's text
	for _, t := range []struct{ to, from *time.Time }{
		{&rec.CreatedAt, &f.CreatedAt}, {&rec.ExpiresAt, &f.ExpiresAt}, {&rec.RevokedAt, &f.RevokedAt}, {&rec.DisabledAt, &f.DisabledAt},
	} {
		if !t.from.IsZero() {
			*t.to = whole(*t.from)
		}
	}
	return rec, nil
}

func kindOf(f *Foreign) Kind {
	if f.Spec.Kind == "" {
		return KindKey
	}
	return f.Spec.Kind
}

// parseImport returns the credential of f, without a secret if only its digest is
// known.
func (m *Manager) parseImport(f *Foreign) (c presented, err error) {
	c.text = f.Text.Reveal()
	switch kindOf(f) {
	case KindClient:
		if c.text == "" {
			c.ID = f.ID
			if !m.validClientID(f.ID) {
				return c, ErrMalformed
			}
			return c, nil
		}
		c.Credential, err = m.parsePair(f.ID, c.text)
		return c, err
	case KindKey:
		if c.text == "" {
			c.ID = f.ID
			if !m.validKeyID(f.ID) {
				return c, ErrMalformed
			}
			return c, nil
		}
		c.Credential, err = m.parseKey(c.text)
		if err == nil && f.ID != "" && f.ID != c.ID {
			err = &InvalidError{FieldID, "is not the one in the text"}
		}
		return c, err
	}
	return c, &InvalidError{FieldKind, "is neither that of a key nor that of a client"}
}

// foreignDigest returns the digest for the record of f.
func (m *Manager) foreignDigest(ctx context.Context, f *Foreign, c *presented, dry bool) (Digest, error) {
	switch {
	case f.Digest.alg == algSHA256 || f.Digest.alg == algHMAC:
		return Digest{}, &InvalidError{FieldDigest, "is in the library's own form, in which no other system makes them"}
	case c.text == "":
		return f.Digest, m.checkDerived(f)
	case !f.Digest.IsZero():
		if match, err := m.hasher.matchesForeign(ctx, &f.Digest, c); err != nil {
			return Digest{}, unavailable(ctx, err)
		} else if !match {
			return Digest{}, &InvalidError{FieldDigest, "is not that of the text"}
		}
	}
	kind, secret := kindOf(f), c.Secret.Reveal()
	// If all of a key's text is its secret, its ID is a plain hash of it, and a
	// slow one would protect nothing.
	if len(secret) >= longSecret || kind == KindKey && len(secret) == len(c.text) {
		return m.hasher.digest(kind, secret), nil
	}
	if dry {
		return noDigestWeak, nil
	}
	return digestWeak(secret), nil
}

// checkDerived checks the ID of a key of which only the digest is known. If the ID is
// one that comes from a digest, it must come from this one.
func (m *Manager) checkDerived(f *Foreign) error {
	if kindOf(f) != KindKey {
		return nil
	}
	var wrong error
	for _, format := range append([]*Format{m.key}, m.others...) {
		if !format.ValidID(f.ID) {
			continue
		}
		if id, err := format.DerivedID(f.Digest); format.layout != derived || err == nil && id == f.ID {
			return nil
		}
		wrong = &InvalidError{FieldID, "is not the one that comes from the digest"}
	}
	return wrong
}
