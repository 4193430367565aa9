package keys_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
)

// goodRecord returns a valid record of a kind.
func goodRecord(t testing.TB, kind keys.Kind) keys.Record {
	t.Helper()
	r := keys.Record{
		ID: "a", Kind: kind, Org: "acme", RateLimit: 1, Digest: mustDigest(t, sha256Text),
		CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC), Version: 1,
	}
	if kind == keys.KindToken {
		r.Parent = "cc_a"
	}
	return r
}

func TestValidate(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 255)
	for _, tt := range []struct {
		name   string
		kind   keys.Kind
		change func(*keys.Record)
		field  string // that is wrong; empty if none is
	}{
		{"a key", keys.KindKey, func(*keys.Record) {}, ""},
		{"a client", keys.KindClient, func(r *keys.Record) { r.TokenLifetime = time.Millisecond }, ""},
		{"a token", keys.KindToken, func(*keys.Record) {}, ""},
		{"no kind", "", func(*keys.Record) {}, "kind"},
		{"the longest ID", keys.KindKey, func(r *keys.Record) { r.ID = long }, ""},
		{"a longer ID", keys.KindKey, func(r *keys.Record) { r.ID = long + "a" }, "ID"},
		{"no ID", keys.KindKey, func(r *keys.Record) { r.ID = "" }, "ID"},
		{"an ID with NUL", keys.KindKey, func(r *keys.Record) { r.ID = "\x00a" }, "ID"},
		{"an ID that is no UTF-8", keys.KindKey, func(r *keys.Record) { r.ID = "\xff" }, "ID"},
		{"the longest organization", keys.KindKey, func(r *keys.Record) { r.Org = long }, ""},
		{"a longer organization", keys.KindKey, func(r *keys.Record) { r.Org = long + "a" }, "organization"},
		{"a key with a parent", keys.KindKey, func(r *keys.Record) { r.Parent = "cc_a" }, "parent"},
		{"a token without a parent", keys.KindToken, func(r *keys.Record) { r.Parent = "" }, "parent"},
		{"the longest parent", keys.KindToken, func(r *keys.Record) { r.Parent = long }, ""},
		{"a longer parent", keys.KindToken, func(r *keys.Record) { r.Parent = long + "a" }, "parent"},
		{"a parent with NUL", keys.KindToken, func(r *keys.Record) { r.Parent = "cc_\x00" }, "parent"},
		{"the longest label", keys.KindKey, func(r *keys.Record) { r.Label = strings.Repeat("ü", 256) }, ""},
		{"a longer label", keys.KindKey, func(r *keys.Record) { r.Label = strings.Repeat("ü", 257) }, "label"},
		{"no limit", keys.KindKey, func(r *keys.Record) { r.RateLimit = 0 }, ""},
		{"a negative limit", keys.KindKey, func(r *keys.Record) { r.RateLimit = -1 }, "rate limit"},
		{"the highest limit", keys.KindKey, func(r *keys.Record) { r.RateLimit = keys.MaxRateLimit }, ""},
		{"a higher limit", keys.KindKey, func(r *keys.Record) { r.RateLimit = keys.MaxRateLimit + 1 }, "rate limit"},
		{"the longest token lifetime", keys.KindClient, func(r *keys.Record) { r.TokenLifetime = keys.MaxTokenLifetime }, ""},
		{"a longer token lifetime", keys.KindClient, func(r *keys.Record) { r.TokenLifetime = keys.MaxTokenLifetime + time.Millisecond }, "token lifetime"},
		{"the longest scopes", keys.KindKey, func(r *keys.Record) { r.Scopes = scopes.MustParse(strings.Repeat("a", keys.MaxScopes)) }, ""},
		{"longer scopes", keys.KindKey, func(r *keys.Record) { r.Scopes = scopes.MustParse(strings.Repeat("a", keys.MaxScopes+1)) }, "scopes"},
		{"the longest environment", keys.KindKey, func(r *keys.Record) { r.Environment = strings.Repeat("a", 16) }, ""},
		{"a longer environment", keys.KindKey, func(r *keys.Record) { r.Environment = strings.Repeat("a", 17) }, "environment"},
		{"a capital in an environment", keys.KindKey, func(r *keys.Record) { r.Environment = "Test" }, "environment"},
		{"the longest networks", keys.KindClient, func(r *keys.Record) { r.Networks = longestNetworks(t) }, ""},
		{"the longest metadata", keys.KindKey, func(r *keys.Record) { r.Metadata = strings.Repeat("a", 4096) }, ""},
		{"longer metadata", keys.KindKey, func(r *keys.Record) { r.Metadata = strings.Repeat("a", 4097) }, "metadata"},
		{"metadata with NUL", keys.KindKey, func(r *keys.Record) { r.Metadata = "\x00" }, "metadata"},
		{"the longest creator", keys.KindKey, func(r *keys.Record) { r.CreatedBy = long }, ""},
		{"a longer creator", keys.KindKey, func(r *keys.Record) { r.CreatedBy = long + "a" }, "creator"},
		{"the longest replaced key", keys.KindKey, func(r *keys.Record) { r.Replaces = long }, ""},
		{"a longer replaced key", keys.KindKey, func(r *keys.Record) { r.Replaces = long + "a" }, "replaced key"},
		{"the longest successor", keys.KindKey, func(r *keys.Record) { r.ReplacedBy = long }, ""},
		{"a successor with a NUL", keys.KindKey, func(r *keys.Record) { r.ReplacedBy = "a\x00" }, "replaced key"},
		{"a replaced key with a NUL", keys.KindKey, func(r *keys.Record) { r.Replaces = "a\x00" }, "replaced key"},
		{"a longer successor", keys.KindKey, func(r *keys.Record) { r.ReplacedBy = long + "a" }, "replaced key"},
		{"a pause", keys.KindKey, func(r *keys.Record) { r.DisabledAt = r.CreatedAt }, ""},
		{"microseconds of a pause", keys.KindKey, func(r *keys.Record) { r.DisabledAt = r.CreatedAt.Add(time.Microsecond) }, "time"},
		{"a token's environment", keys.KindToken, func(r *keys.Record) { r.Environment = "test" }, "kind"},
		{"a token's networks", keys.KindToken, func(r *keys.Record) { r.Networks = mustNetworks(t, "10.0.0.0/8") }, "kind"},
		{"a token's metadata", keys.KindToken, func(r *keys.Record) { r.Metadata = "x" }, "kind"},
		{"a token's creator", keys.KindToken, func(r *keys.Record) { r.CreatedBy = "x" }, "kind"},
		{"a token's pause", keys.KindToken, func(r *keys.Record) { r.DisabledAt = r.CreatedAt }, "kind"},
		{"a token's successor", keys.KindToken, func(r *keys.Record) { r.ReplacedBy = "x" }, "kind"},
		{"what a token replaces", keys.KindToken, func(r *keys.Record) { r.Replaces = "x" }, "kind"},
		{"a negative token lifetime", keys.KindClient, func(r *keys.Record) { r.TokenLifetime = -time.Millisecond }, "token lifetime"},
		{"a fraction of one", keys.KindClient, func(r *keys.Record) { r.TokenLifetime = time.Microsecond }, "token lifetime"},
		{"a key's token lifetime", keys.KindKey, func(r *keys.Record) { r.TokenLifetime = time.Hour }, "token lifetime"},
		{"no digest", keys.KindKey, func(r *keys.Record) { r.Digest = keys.Digest{} }, "digest"},
		{"a second digest", keys.KindClient, func(r *keys.Record) { r.Previous, r.PreviousExpiresAt = r.Digest, r.CreatedAt }, ""},
		{"one without an end", keys.KindClient, func(r *keys.Record) { r.Previous = r.Digest }, "previous digest"},
		{"an end without one", keys.KindClient, func(r *keys.Record) { r.PreviousExpiresAt = r.CreatedAt }, "previous digest"},
		{"no creation time", keys.KindKey, func(r *keys.Record) { r.CreatedAt = time.Time{} }, "time"},
		{"the last version but one", keys.KindKey, func(r *keys.Record) { r.Version = 1<<63 - 2 }, ""},
		{"the last version", keys.KindKey, func(r *keys.Record) { r.Version = 1<<63 - 1 }, "version"},
		{"version 0", keys.KindKey, func(r *keys.Record) { r.Version = 0 }, "version"},
		{"the first time", keys.KindKey, func(r *keys.Record) { r.CreatedAt = time.Unix(0, 0).UTC() }, ""},
		{"a time before it", keys.KindKey, func(r *keys.Record) { r.CreatedAt = time.Unix(-1, 0).UTC() }, "time"},
		{"the last time", keys.KindKey, func(r *keys.Record) { r.ExpiresAt = time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC) }, ""},
		{"a time after it", keys.KindKey, func(r *keys.Record) { r.ExpiresAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "time"},
		{"microseconds", keys.KindKey, func(r *keys.Record) { r.RevokedAt = r.CreatedAt.Add(time.Microsecond) }, "time"},
		{"microseconds of an end", keys.KindClient, func(r *keys.Record) {
			r.Previous, r.PreviousExpiresAt = r.Digest, r.CreatedAt.Add(time.Microsecond)
		}, "time"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := goodRecord(t, tt.kind)
			tt.change(&r)
			err := r.Validate()
			var invalid *keys.InvalidError
			switch {
			case tt.field == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.field != "" && (!errors.As(err, &invalid) || invalid.Field != tt.field || !errors.Is(err, keys.ErrInvalid)):
				t.Errorf("%v, want an error about the %s", err, tt.field)
			}
		})
	}
}

func TestQueryValidate(t *testing.T) {
	t.Parallel()
	good := keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 1}
	for _, tt := range []struct {
		name   string
		change func(*keys.Query)
		field  string
	}{
		{"good", func(*keys.Query) {}, ""},
		{"clients", func(q *keys.Query) { q.Kind = keys.KindClient }, ""},
		{"tokens", func(q *keys.Query) { q.Kind = keys.KindToken }, ""},
		{"the longest organization", func(q *keys.Query) { q.Org = strings.Repeat("a", 255) }, ""},
		{"no organization", func(q *keys.Query) { q.Org = "" }, "organization"},
		{"a longer organization", func(q *keys.Query) { q.Org = strings.Repeat("a", 256) }, "organization"},
		{"an organization with NUL", func(q *keys.Query) { q.Org = "a\x00" }, "organization"},
		{"no kind", func(q *keys.Query) { q.Kind = "" }, "kind"},
		{"a cursor that is longer than an ID", func(q *keys.Query) { q.After = strings.Repeat("a", keys.MaxID+1) }, ""},
		{"a cursor that is no UTF-8", func(q *keys.Query) { q.After = "\xff" }, "cursor"},
		{"limit 0", func(q *keys.Query) { q.Limit = 0 }, "limit"},
	} {
		q := good
		tt.change(&q)
		err := q.Validate()
		var invalid *keys.InvalidError
		if tt.field == "" && err != nil || tt.field != "" && (!errors.As(err, &invalid) || invalid.Field != tt.field) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestRecordPrints(t *testing.T) {
	t.Parallel()
	r := goodRecord(t, keys.KindKey)
	if got := r.String(); got != `key "a"` {
		t.Errorf("String gives %s", got)
	}
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("hello", "record", r, "pointer", &r)
	for _, want := range []string{"record.id=a record.kind=key record.org=acme", "pointer.id=a pointer.kind=key"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("logged %q, want %q", out.String(), want)
		}
	}
	if strings.Contains(out.String(), sumText) {
		t.Error("the digest is in the log")
	}
}

func TestPossibleID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		"": false, "a": true, "key/1 ü": true, "a\x00": false, "\x00": false, "a\xff": false, "a\x80": false, "ü\x00": false,
		strings.Repeat("a", 255): true, strings.Repeat("a", 256): false, strings.Repeat("ü", 127): true, strings.Repeat("ü", 128): false,
	} {
		if got := keys.PossibleID(id); got != want {
			t.Errorf("%q: %t", id, got)
		}
	}
}
