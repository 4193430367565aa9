package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/redisstore"
)

// damages are what can become of a record.
var damages = []struct {
	name string
	do   func(ctx context.Context, c *redis.Client, key string) error
}{
	{"no digest", drop("digest")},
	{"an empty digest", put("digest", "")},
	{"a digest that is cut", put("digest", "$sha256$v=1$MDEy")},
	{"a digest of another version", put("digest", "$sha256$v=2$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE")},
	{"a secret for a digest", put("digest", "0123456789abcdef0123456789abcdef")},
	{"an old digest without an end", put("before", "$sha256$v=1$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE")},
	{"an end without an old digest", put("until", "1700000000000")},
	{"an empty old digest", put("before", "")},
	{"no kind", drop("kind")},
	{"an unknown kind", put("kind", "KEY")},
	{"a kind that has a parent", put("kind", "token")},
	{"no organization", drop("org")},
	{"an empty organization", put("org", "")},
	{"an organization that is no text", put("org", "a\xff")},
	{"a parent", put("parent", "client")},
	{"scopes with a stray space", put("scopes", "a  b")},
	{"scopes that are no text", put("scopes", "a\x00b")},
	{"a label that is no text", put("label", "\xff")},
	{"no rate", drop("rate")},
	{"an empty rate", put("rate", "")},
	{"a rate above the largest", put("rate", "1000000001")},
	{"a negative rate", put("rate", "-1")},
	{"a rate out of range", put("rate", "9223372036854775808")},
	{"a lifetime", put("life", "1000")},
	{"a lifetime out of range", put("life", "9223372036854775807")},
	{"an empty environment", put("env", "")},
	{"an environment that is none", put("env", "Live")},
	{"empty networks", put("networks", "")},
	{"networks that are none", put("networks", "10.0.0.0/8 everywhere")},
	{"metadata that is no text", put("metadata", "\xff")},
	{"a maker that is no text", put("createdby", "a\x00")},
	{"a predecessor that is no text", put("replaces", "\xff")},
	{"a successor that is no text", put("replacedby", "\xff")},
	{"a pause that is no number", put("disabled", "now")},
	{"an empty label", put("label", "")},
	{"a field of a later version", put("audience", "x")},
	{"no creation time", drop("created")},
	{"a negative creation time", put("created", "-1")},
	{"a creation time after 9999", put("created", "253402300800000")},
	{"an expiry that is no number", put("expires", "soon")},
	{"an empty expiry", put("expires", "")},
	{"a fractional expiry", put("expires", "1700000000000.5")},
	{"an expiry in another form", put("expires", "01700000000000")},
	{"a negative revocation", put("revoked", "-1")},
	{"an empty revocation", put("revoked", "")},
	{"a revocation with a sign", put("revoked", "+1700000000000")},
	{"no version", drop("version")},
	{"a version of 0", put("version", "0")},
	{"a version that is no number", put("version", "one")},
	{"the version above the last", put("version", "9223372036854775807")},
	{"a later format", put("version", fmt.Sprintf("%d:1", keys.RecordFormat+1))},
	{"format 0", put("version", "0:1")},
	{"a format that is no number", put("version", "x:1")},
	{"a format in another form", put("version", "01:1")},
	{"a format without a version", put("version", "1:")},
	{"a version of 0 after the format", put("version", "1:0")},
	{"two formats", put("version", "1:1:1")},
	{"all fields gone but one of no record", func(ctx context.Context, c *redis.Client, key string) error {
		_, err := c.TxPipelined(ctx, func(tx redis.Pipeliner) error {
			tx.Del(ctx, key)
			tx.HSet(ctx, key, "used", "1")
			return nil
		})
		return err
	}},
	{"another type of key", func(ctx context.Context, c *redis.Client, key string) error {
		return c.Set(ctx, key, "x", 0).Err()
	}},
}

func put(field, value string) func(context.Context, *redis.Client, string) error {
	return func(ctx context.Context, c *redis.Client, key string) error {
		return c.HSet(ctx, key, field, value).Err()
	}
}

func drop(field string) func(context.Context, *redis.Client, string) error {
	return func(ctx context.Context, c *redis.Client, key string) error { return c.HDel(ctx, key, field).Err() }
}

// TestCorruptRecords checks that a damaged record admits nobody, is no verdict
// on a credential, and leaves others alone.
func TestCorruptRecords(t *testing.T) {
	t.Parallel()
	for _, damage := range damages {
		t.Run(damage.name, func(t *testing.T) {
			t.Parallel()
			s, c, p := fresh(t)
			ctx := t.Context()
			bad, good, token := record(keys.KindKey, "bad"), record(keys.KindKey, "good"), record(keys.KindToken, "token")
			token.Parent = bad.ID
			for _, r := range []keys.Record{bad, good, token} {
				must(t, s.Insert(ctx, r))
			}
			must(t, damage.do(ctx, c, redisstore.RecordKey(p, bad.ID)))

			r, _, err := s.Get(ctx, bad.ID)
			wants(t, "Get", err, keys.ErrCorrupt)
			if errors.Is(err, keys.ErrNotFound) || r.ID != "" {
				t.Errorf("Get: %v, and %+v", err, r)
			}
			r, parent, err := s.Get(ctx, token.ID)
			wants(t, "Get of its token", err, keys.ErrCorrupt)
			if r.ID != "" || parent.ID != "" {
				t.Errorf("Get of its token, beside an error: %+v, %+v", r, parent)
			}
			_, err = s.List(ctx, keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 10})
			wants(t, "List", err, keys.ErrCorrupt)
			wants(t, "Insert of the same ID", s.Insert(ctx, bad), keys.ErrExists)

			if _, _, err := s.Get(ctx, good.ID); err != nil {
				t.Errorf("another record: %v", err)
			}
			page, err := s.List(ctx, keys.Query{Org: "acme", Kind: keys.KindKey, After: bad.ID, Limit: 10})
			if err != nil || len(page) != 1 {
				t.Errorf("a page without it: %d records, %v", len(page), err)
			}
			must(t, s.NoteUses(ctx, map[string]time.Time{bad.ID: created, good.ID: created}))
			if uses, err := s.LastUses(ctx, []string{good.ID}); err != nil || !uses[good.ID].Equal(created) {
				t.Errorf("uses of another record: %v, %v", uses, err)
			}
			if damage.name == "another type of key" {
				_, err := s.LastUses(ctx, []string{"nobody", bad.ID})
				wants(t, "LastUses", err, keys.ErrCorrupt)
			}
		})
	}
}

func TestUpdateOfCorruptRecord(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		do   func(context.Context, *redis.Client, string) error
		want error
	}{
		{"no organization", drop("org"), keys.ErrCorrupt},
		{"a revocation that is no number", put("revoked", "x"), keys.ErrCorrupt},
		{"another type of key", func(ctx context.Context, c *redis.Client, key string) error {
			return c.Set(ctx, key, "x", 0).Err()
		}, keys.ErrCorrupt},
		{"no version", drop("version"), keys.ErrCorrupt},
		{"a later format", put("version", fmt.Sprintf("%d:1", keys.RecordFormat+1)), keys.ErrCorrupt},
		{"another version and a field of a later version", func(ctx context.Context, c *redis.Client, key string) error {
			return c.HSet(ctx, key, "version", "7", "audience", "x").Err()
		}, keys.ErrCorrupt},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s, c, p := fresh(t)
			r := record(keys.KindKey, "key")
			must(t, s.Insert(t.Context(), r))
			key := redisstore.RecordKey(p, r.ID)
			must(t, row.do(t.Context(), c, key))
			before, err := c.Dump(t.Context(), key).Result()
			must(t, err)
			r.RevokedAt = created
			wants(t, "Update", s.Update(t.Context(), r), row.want)
			if after, err := c.Dump(t.Context(), key).Result(); after != before || err != nil {
				t.Errorf("the record was changed: %v", err)
			}
		})
	}
}

// TestSweepPassesOverJunk checks that what stands among the deaths and is no
// dead token neither goes nor keeps others from going.
func TestSweepPassesOverJunk(t *testing.T) {
	t.Parallel()
	s, c, p := fresh(t)
	ctx := t.Context()
	key, list, dead := record(keys.KindKey, "key"), record(keys.KindToken, "list"), record(keys.KindToken, "dead")
	lost := record(keys.KindToken, "lost")
	list.ExpiresAt, lost.ExpiresAt, dead.ExpiresAt = created, created, created.Add(time.Hour)
	for _, r := range []keys.Record{key, list, lost, dead} {
		must(t, s.Insert(ctx, r))
	}
	must(t, c.HDel(ctx, redisstore.RecordKey(p, lost.ID), "org").Err())
	must(t, c.Set(ctx, redisstore.RecordKey(p, list.ID), "x", 0).Err())
	for _, id := range []string{key.ID, "gone 1", "gone 2", "gone 3"} {
		must(t, c.ZAdd(ctx, redisstore.DeathsKey(p, id), redis.Z{Score: 1, Member: id}).Err())
	}
	if n, err := s.Sweep(ctx, expires, 1); n != 1 || err != nil {
		t.Errorf("Sweep: %d, %v", n, err)
	}
	if n, err := s.Sweep(ctx, expires, 10); n != 0 || err != nil {
		t.Errorf("Sweep again: %d, %v", n, err)
	}
	if _, _, err := s.Get(ctx, key.ID); err != nil {
		t.Errorf("a key that stood among the deaths: %v", err)
	}
	_, _, err := s.Get(ctx, dead.ID)
	wants(t, "Get of a dead token", err, keys.ErrNotFound)
	for _, r := range []keys.Record{list, lost} {
		_, _, err = s.Get(ctx, r.ID)
		wants(t, "Get of a damaged token", err, keys.ErrCorrupt)
	}
}

// TestListPassesOverAbsentRecords checks that a page is full although some of
// the IDs in the index have no records: callers take a short one for the last.
func TestListPassesOverAbsentRecords(t *testing.T) {
	t.Parallel()
	s, c, p := fresh(t)
	for _, id := range []string{"a", "b", "c", "d"} {
		must(t, s.Insert(t.Context(), record(keys.KindKey, id)))
	}
	must(t, c.Del(t.Context(), redisstore.RecordKey(p, "a"), redisstore.RecordKey(p, "c")).Err())
	page, err := s.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 2})
	if err != nil || len(page) != 2 || page[0].ID != "b" || page[1].ID != "d" {
		t.Errorf("%v, %v", page, err)
	}
}

// TestListPassesOverOthers checks that a record that stands in the list of
// another organization, or of another kind, is not shown there.
func TestListPassesOverOthers(t *testing.T) {
	t.Parallel()
	s, c, p := fresh(t)
	ctx := t.Context()
	must(t, s.Insert(ctx, record(keys.KindKey, "mine")))
	other, client := record(keys.KindKey, "other"), record(keys.KindClient, "client")
	other.Org = "other"
	must(t, s.Insert(ctx, other))
	must(t, s.Insert(ctx, client))
	for _, id := range []string{other.ID, client.ID} {
		must(t, c.ZAdd(ctx, redisstore.ListKey(p, "i", keys.KindKey, "acme", id), redis.Z{Member: id}).Err())
	}
	for _, live := range []bool{false, true} {
		page, err := s.List(ctx, keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 10, Live: live})
		if err != nil || len(page) != 1 || page[0].ID != "mine" {
			t.Errorf("List, live %t: %v, %v", live, page, err)
		}
	}
}

func TestLastVersion(t *testing.T) {
	t.Parallel()
	s, _, _ := fresh(t)
	r := record(keys.KindKey, "key")
	r.Version = 1<<63 - 3
	must(t, s.Insert(t.Context(), r))
	must(t, s.Update(t.Context(), r))
	r.Version-- // differs by less than a double can tell
	wants(t, "Update of the version before", s.Update(t.Context(), r), keys.ErrConflict)
	r.Version += 2
	wants(t, "Update of the last version", s.Update(t.Context(), r), keys.ErrInvalid)
	got, _, err := s.Get(t.Context(), r.ID)
	if err != nil || got.Version != 1<<63-2 {
		t.Errorf("version %d, %v", got.Version, err)
	}
	r.Version--
	wants(t, "Update of the version before the last", s.Update(t.Context(), r), keys.ErrConflict)
}
