package keys_test

import (
	"errors"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/google/go-cmp/cmp"
)

// fullRecord returns a valid record with every field set that its kind may have.
func fullRecord(t testing.TB, kind keys.Kind) keys.Record {
	t.Helper()
	r := goodRecord(t, kind)
	r.Label, r.Scopes, r.RateLimit = "label", scopes.MustParse("a b"), 7
	r.Previous, r.PreviousExpiresAt = digestOf(t, kind, keys.NewSecret("before")), r.CreatedAt.Add(time.Hour)
	r.ExpiresAt = r.CreatedAt.Add(2 * time.Hour)
	r.RevokedAt = r.CreatedAt.Add(3 * time.Hour)
	r.Version = 4
	if kind == keys.KindToken {
		r.Parent = "cc_parent"
		return r
	}
	if kind == keys.KindClient {
		r.TokenLifetime = time.Minute
	}
	r.Environment, r.Networks, r.Metadata = "test", mustNetworks(t, "10.0.0.0/8"), `{"a":1}`
	r.CreatedBy, r.Replaces, r.ReplacedBy = "host:x", "key_before", "key_after"
	r.DisabledAt = r.CreatedAt.Add(time.Minute)
	return r
}

// kept are the fields of a record that an update leaves as they are.
var kept = map[string]bool{
	"ID": true, "Kind": true, "Org": true, "Parent": true, "Environment": true, "CreatedBy": true, "Replaces": true, "CreatedAt": true,
}

// TestNextTakesEachField changes one field after the other, so that a field that
// is new is tried too.
func TestNextTakesEachField(t *testing.T) {
	t.Parallel()
	for _, kind := range []keys.Kind{keys.KindKey, keys.KindClient, keys.KindToken} {
		old := fullRecord(t, kind)
		other := fullRecord(t, kind)
		other.Label, other.Scopes, other.RateLimit, other.Version = "other", scopes.MustParse("c"), 0, old.Version
		other.Digest, other.Previous = old.Previous, old.Digest
		other.PreviousExpiresAt = old.PreviousExpiresAt.Add(time.Second)
		other.CreatedAt = old.CreatedAt.Add(-time.Second)
		other.ExpiresAt, other.RevokedAt = time.Time{}, old.RevokedAt.Add(-time.Second)
		if kind != keys.KindToken {
			other.Environment, other.Networks, other.Metadata = "live", keys.Networks{}, ""
			other.CreatedBy, other.Replaces, other.ReplacedBy, other.DisabledAt = "", "", "", time.Time{}
		} else {
			other.Parent = "cc_other"
		}
		if kind == keys.KindClient {
			other.TokenLifetime = 0
		}
		for i := range reflect.TypeFor[keys.Record]().NumField() {
			name := reflect.TypeFor[keys.Record]().Field(i).Name
			r, want := old, old
			reflect.ValueOf(&r).Elem().Field(i).Set(reflect.ValueOf(other).Field(i))
			want.Version++
			if !kept[name] {
				reflect.ValueOf(&want).Elem().Field(i).Set(reflect.ValueOf(r).Field(i))
				want.Version = old.Version + 1
			}
			switch name {
			case "ID", "Org", "Kind", "Version": // below
				continue
			case "Previous", "PreviousExpiresAt":
				continue // go together
			}
			got, err := keys.Next(old, r)
			if diff := cmp.Diff(want, got, cmpRecords); err != nil || diff != "" {
				t.Errorf("%s, %s: %v\n%s", kind, name, err, diff)
			}
		}
	}
}

func TestNextRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		kind   keys.Kind
		change func(old, r *keys.Record)
		want   error
	}{
		{"another ID", keys.KindKey, func(_, r *keys.Record) { r.ID += "x" }, keys.ErrNotFound},
		{"another organization", keys.KindKey, func(_, r *keys.Record) { r.Org = "globex" }, keys.ErrNotFound},
		{"another organization and version", keys.KindKey, func(_, r *keys.Record) { r.Org, r.Version = "globex", 9 }, keys.ErrNotFound},
		{"an older version", keys.KindKey, func(_, r *keys.Record) { r.Version-- }, keys.ErrConflict},
		{"a newer version", keys.KindKey, func(_, r *keys.Record) { r.Version++ }, keys.ErrConflict},
		{"a revocation undone", keys.KindKey, func(_, r *keys.Record) { r.RevokedAt = time.Time{} }, keys.ErrConflict},
		{"a revocation put off", keys.KindKey, func(_, r *keys.Record) { r.RevokedAt = r.RevokedAt.Add(time.Millisecond) }, keys.ErrConflict},
		{"a long label", keys.KindKey, func(_, r *keys.Record) { r.Label = string(make([]byte, 300)) }, keys.ErrInvalid},
		{"the last version", keys.KindKey, func(old, r *keys.Record) { old.Version, r.Version = 1<<63-2, 1<<63-2 }, keys.ErrInvalid},
		{"a client's lifetime for a key", keys.KindKey, func(_, r *keys.Record) { r.Kind, r.TokenLifetime = keys.KindClient, time.Second }, keys.ErrInvalid},
		{"a key's networks for a token", keys.KindToken, func(old, r *keys.Record) {
			r.Kind, r.Parent, r.Networks = keys.KindKey, "", mustNetworks(t, "10.0.0.0/8")
		}, keys.ErrInvalid},
		{"another kind, and nothing of it", keys.KindKey, func(_, r *keys.Record) { r.Kind = keys.KindClient }, nil},
	} {
		old := fullRecord(t, tt.kind)
		r := old
		tt.change(&old, &r)
		got, err := keys.Next(old, r)
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) || err != nil && got != (keys.Record{}) {
			t.Errorf("%s: %v, %v; want %v", tt.name, got, err, tt.want)
		}
		if err == nil && got.Kind != old.Kind {
			t.Errorf("%s: the kind became %s", tt.name, got.Kind)
		}
	}
}

func TestEnds(t *testing.T) {
	t.Parallel()
	early, late := now(), now().Add(time.Hour)
	for _, tt := range []struct {
		name                   string
		expires, revoked, want time.Time
	}{
		{"never", time.Time{}, time.Time{}, time.Time{}},
		{"expires", early, time.Time{}, early},
		{"revoked", time.Time{}, early, early},
		{"revoked before it expires", late, early, early},
		{"revoked after it expired", early, late, early},
	} {
		for _, kind := range []keys.Kind{keys.KindKey, keys.KindClient, keys.KindToken} {
			r := keys.Record{Kind: kind, ExpiresAt: tt.expires, RevokedAt: tt.revoked}
			if got := r.Ends(); !got.Equal(tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
			}
			over := !tt.want.IsZero() && kind == keys.KindToken
			if got := r.Sweepable(tt.want); got {
				t.Errorf("%s %s: swept at its end", tt.name, kind)
			}
			if got := r.Sweepable(late.Add(1)); got != over {
				t.Errorf("%s %s: swept after its end: %t", tt.name, kind, got)
			}
		}
	}
}

// TestNextEndsWithTheVersions: no update makes a record that no store returns.
func TestNextEndsWithTheVersions(t *testing.T) {
	t.Parallel()
	old := fullRecord(t, keys.KindKey)
	old.Version = math.MaxInt64 - 2
	next, err := keys.Next(old, old)
	if err != nil || next.Version != math.MaxInt64-1 {
		t.Fatalf("version %d, %v; want one more", next.Version, err)
	}
	var invalid *keys.InvalidError
	if _, err := keys.Next(next, next); !errors.As(err, &invalid) || invalid.Field != keys.FieldVersion {
		t.Errorf("an update after the last version: %v, want an InvalidError", err)
	}
}
