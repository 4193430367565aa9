package keysimport

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// A Row is one credential in a file.
type Row struct {
	Line    int    // the line of the file on which the row begins; the first is 1
	Name    string // the ID that the other system uses; empty if the file has none
	Foreign keys.Foreign
	Err     error // why the row cannot be read; nil if it can
}

// Defaults are the values for rows that have none of their own.
type Defaults struct {
	Org       string
	Scopes    []string
	CreatedBy string // as in keys.Spec
	// Format is the form of the keys, as [Preset.Format] returns it. It must also be
	// in the options of the manager. It is nil for clients.
	Format *keys.Format
}

// columns are the columns that a row can have, with functions that set their values.
var columns = map[string]func(b *builder, value string) error{
	"id":             func(b *builder, v string) error { b.Name = v; return nil },
	"text":           func(b *builder, v string) error { b.Foreign.Text = keys.NewSecret(v); return nil },
	"digest":         func(b *builder, v string) error { b.digest = v; return nil },
	"covers":         func(b *builder, v string) error { b.covers = keys.Part(v); return nil },
	"org":            func(b *builder, v string) error { b.Foreign.Org = v; return nil },
	"label":          func(b *builder, v string) error { b.Foreign.Spec.Label = v; return nil },
	"scopes":         func(b *builder, v string) error { b.Foreign.Spec.Scopes = scopesIn(v); return nil },
	"environment":    func(b *builder, v string) error { b.Foreign.Spec.Environment = v; return nil },
	"metadata":       func(b *builder, v string) error { b.Foreign.Spec.Metadata = v; return nil },
	"networks":       (*builder).networks,
	"rate_limit":     (*builder).rateLimit,
	"token_lifetime": (*builder).tokenLifetime,
	"created_at":     func(b *builder, v string) error { return parseTime(&b.Foreign.CreatedAt, v) },
	"expires_at":     func(b *builder, v string) error { return parseTime(&b.Foreign.ExpiresAt, v) },
	"revoked_at":     func(b *builder, v string) error { return parseTime(&b.Foreign.RevokedAt, v) },
	"disabled_at":    func(b *builder, v string) error { return parseTime(&b.Foreign.DisabledAt, v) },
	"disabled":       (*builder).disabled,
}

// A builder makes a Row, column by column.
type builder struct {
	Row
	preset Preset
	format *keys.Format
	digest string
	covers keys.Part
}

func newBuilder(line int, p Preset, d *Defaults) *builder {
	b := &builder{preset: p, covers: p.Covers}
	b.Line = line
	b.Foreign.Spec.Kind = p.Kind
	if d != nil {
		b.format, b.Foreign.Org = d.Format, d.Org
		b.Foreign.Spec.Scopes, b.Foreign.Spec.CreatedBy = d.Scopes, d.CreatedBy
	}
	return b
}

// set sets the value of a column, which is one of columns. It ignores empty values.
func (b *builder) set(column, value string) {
	if value == "" || b.Err != nil {
		return
	}
	if err := columns[column](b, value); err != nil {
		b.Err = fmt.Errorf("keysimport: column %s: %w", column, err)
	}
}

// row returns the finished row.
func (b *builder) row() Row {
	if b.Err == nil {
		b.Err = b.finish()
	}
	return b.Row
}

var (
	errNothing  = errors.New("keysimport: neither a text nor a digest")
	errNoName   = errors.New("keysimport: no id")
	errNoFormat = errors.New("keysimport: no format for the keys")
	errCovers   = errors.New("keysimport: nothing says what the digest covers")
)

// finish works out the digest and the ID.
func (b *builder) finish() (err error) {
	f := &b.Foreign
	if secret, ok := strings.CutPrefix(b.digest, "{noop}"); ok && b.preset.Kind == keys.KindClient {
		b.digest, f.Text = "", keys.NewSecret(secret)
	}
	if b.digest != "" {
		if b.covers == "" {
			return errCovers
		}
		if f.Digest, err = keys.ForeignDigest(b.digest, b.covers); err != nil {
			return err
		}
	}
	switch {
	case b.digest == "" && f.Text.Len() == 0:
		return errNothing
	case b.preset.Kind == keys.KindClient:
		if f.ID = b.Name; f.ID == "" {
			return errNoName
		}
		return nil
	case f.Text.Len() > 0:
		return nil // which has the ID in it
	case b.format == nil:
		return errNoFormat
	}
	return b.keyID()
}

// keyID works out the ID of a key of which only the digest is known.
func (b *builder) keyID() (err error) {
	f := &b.Foreign
	if b.preset.separator == "" && !b.preset.dotted {
		if f.ID, err = b.format.DerivedID(f.Digest); err != nil {
			return errors.New("keysimport: without its text, a key that has no ID in it needs a plain SHA-256 of all of it")
		}
		return nil
	}
	if b.Name == "" {
		return errNoName
	}
	if f.ID, err = b.format.ForeignID(b.Name); err != nil {
		return errors.New("keysimport: id is not one that the format's keys have")
	}
	return nil
}

// scopesIn returns the names in a list with spaces or commas between them, or in an
// array of JSON, in which databases keep them too.
func scopesIn(text string) []string {
	var names []string
	if strings.HasPrefix(text, "[") && json.Unmarshal([]byte(text), &names) == nil {
		return names
	}
	return strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' })
}

func (b *builder) networks(text string) (err error) {
	b.Foreign.Spec.Networks, err = keys.ParseNetworks(text)
	return err
}

func (b *builder) rateLimit(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil {
		return errors.New("not a whole number")
	}
	b.Foreign.Spec.RateLimit = n
	return nil
}

func (b *builder) tokenLifetime(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > int(keys.MaxTokenLifetime/time.Second) {
		return errors.New("not a number of seconds from 0 to ten years")
	}
	b.Foreign.Spec.TokenLifetime = time.Duration(n) * time.Second
	return nil
}

// disabled pauses the credential from now on, for systems that do not say since when it
// is paused.
func (b *builder) disabled(text string) error {
	off, err := strconv.ParseBool(text)
	if err != nil {
		return errors.New("neither true nor false")
	}
	if off && b.Foreign.DisabledAt.IsZero() {
		b.Foreign.DisabledAt = time.Now()
	}
	return nil
}

// layouts are the layouts in which databases write times, besides numbers.
var layouts = []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999Z07", "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", time.DateOnly}

// parseTime reads a time in one of the layouts, or as Unix time. A time without a zone
// is in UTC. Unix time is in seconds, or in milliseconds if it is 100,000,000,000 or
// more.
func parseTime(t *time.Time, text string) error {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		if *t = time.Unix(n, 0); n >= 100_000_000_000 {
			*t = time.UnixMilli(n)
		}
		return nil
	}
	for _, layout := range layouts {
		if parsed, err := time.Parse(layout, text); err == nil {
			*t = parsed
			return nil
		}
	}
	return errors.New("not a time")
}
