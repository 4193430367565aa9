package redisstore_test

import (
	"context"
	"embed"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/redisstore"
)

// The scripts of the release before format 1, as they were.
//
//go:embed testdata/format0
var earlierScripts embed.FS

func earlierScript(name string) *redis.Script {
	source, err := earlierScripts.ReadFile("testdata/format0/" + name + ".lua")
	if err != nil {
		panic(err)
	}
	return redis.NewScript(string(source))
}

var (
	earlierInsert = earlierScript("insert")
	earlierUpdate = earlierScript("update")
	earlierSweep  = earlierScript("sweep")
)

// An earlier is a process of the release before format 1.
type earlier struct {
	c      redis.Scripter
	prefix string
}

// millis returns a time in Unix milliseconds, or "" for never.
func millis(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.UnixMilli(), 10)
}

// variable returns the fields that it sets and drops.
func (e earlier) variable(r keys.Record, version int64) (set, drop []any) {
	set = []any{"rate", r.RateLimit, "digest", r.Digest.Text(), "version", version}
	for _, f := range [][2]string{
		{"label", r.Label},
		{"scopes", r.Scopes.String()},
		{"before", r.Previous.Text()},
		{"until", millis(r.PreviousExpiresAt)},
		{"expires", millis(r.ExpiresAt)},
		{"revoked", millis(r.RevokedAt)},
	} {
		if f[1] == "" {
			drop = append(drop, f[0])
		} else {
			set = append(set, f[0], f[1])
		}
	}
	return set, drop
}

func (e earlier) insert(ctx context.Context, r keys.Record) *redis.Cmd {
	end := ""
	args := []any{"org", r.Org, "kind", string(r.Kind), "created", millis(r.CreatedAt)}
	if r.Parent != "" {
		args = append(args, "parent", r.Parent)
	}
	if r.Kind == keys.KindToken {
		end = millis(r.Ends())
	}
	if r.TokenLifetime > 0 {
		args = append(args, "life", r.TokenLifetime.Milliseconds())
	}
	set, _ := e.variable(r, r.Version)
	names := []string{
		redisstore.RecordKey(e.prefix, r.ID), redisstore.ListKey(e.prefix, "i", r.Kind, r.Org, r.ID), redisstore.DeathsKey(e.prefix, r.ID),
	}
	return earlierInsert.Run(ctx, e.c, names, append(append([]any{r.ID, end}, args...), set...)...)
}

// update answers 1 if it wrote, 0 if there is no such record, 2 on a conflict and
// 3 if the record is corrupt.
func (e earlier) update(ctx context.Context, r keys.Record) *redis.Cmd {
	set, drop := e.variable(r, r.Version+1)
	life := ""
	if r.TokenLifetime > 0 {
		life = strconv.FormatInt(r.TokenLifetime.Milliseconds(), 10)
	}
	args := []any{r.ID, r.Org, r.Version, millis(r.RevokedAt), millis(r.Ends()), life, len(set)}
	names := []string{redisstore.RecordKey(e.prefix, r.ID), redisstore.DeathsKey(e.prefix, r.ID)}
	return earlierUpdate.Run(ctx, e.c, names, append(append(args, set...), drop...)...)
}

// sweep removes one token.
func (e earlier) sweep(ctx context.Context, before time.Time, r keys.Record) *redis.Cmd {
	names := []string{
		redisstore.DeathsKey(e.prefix, r.ID), redisstore.RecordKey(e.prefix, r.ID), redisstore.ListKey(e.prefix, "i", r.Kind, r.Org, r.ID),
	}
	return earlierSweep.Run(ctx, e.c, names, before.UnixMilli(), r.ID, r.Org)
}

// read says whether it takes what is there for a record. It passed over fields
// that it did not know.
func (e earlier) read(fields map[string]string) error {
	if n, err := strconv.ParseInt(fields["version"], 10, 64); err != nil || n < 1 || strconv.FormatInt(n, 10) != fields["version"] {
		return keys.ErrCorrupt
	}
	return nil
}

// newFields are changes that the release before format 1 knew nothing of.
var newFields = []struct {
	name   string
	change func(r *keys.Record)
}{
	{"environment", func(r *keys.Record) { r.Environment = "test" }},
	{"networks", func(r *keys.Record) { r.Networks = mustNetworks("10.0.0.0/8") }},
	{"metadata", func(r *keys.Record) { r.Metadata = "{}" }},
	{"maker", func(r *keys.Record) { r.CreatedBy = "host:bootstrap" }},
	{"predecessor", func(r *keys.Record) { r.Replaces = "old" }},
	{"successor", func(r *keys.Record) { r.ReplacedBy = "new" }},
	{"pause", func(r *keys.Record) { r.DisabledAt = created }},
	{"no limit of its own", func(r *keys.Record) { r.RateLimit = 0 }},
}

func mustNetworks(text string) keys.Networks {
	n, err := keys.ParseNetworks(text)
	if err != nil {
		panic(err)
	}
	return n
}

// TestEarlierMeetsNewRecords has a process of the release before format 1 read and
// update a record that has a field that it does not know. It refuses to read the
// record, and its update changes nothing, whether the field was there from the
// start or came with an update, and even if the caller of that did not know of it.
func TestEarlierMeetsNewRecords(t *testing.T) {
	t.Parallel()
	for _, row := range newFields {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			s, c, p := fresh(t)
			old := earlier{c, p}
			refuses := func(what string, r keys.Record) {
				t.Helper()
				key := redisstore.RecordKey(p, r.ID)
				fields, err := c.HGetAll(ctx, key).Result()
				must(t, err)
				wants(t, "what it reads of "+what, old.read(fields), keys.ErrCorrupt)
				for _, version := range []int64{1, 2, 3} {
					r.Version, r.Label = version, "written back"
					if answer, err := old.update(ctx, r).Int(); answer != 2 || err != nil {
						t.Errorf("its update of %s, version %d: %d, %v; want 2, a conflict", what, version, answer, err)
					}
				}
				if after, err := c.HGetAll(ctx, key).Result(); err != nil || !cmp.Equal(fields, after) {
					t.Errorf("its update of %s changed it:\n%s", what, cmp.Diff(fields, after))
				}
			}
			base := record(keys.KindKey, "from the start")
			base.ReplacedBy, base.DisabledAt = "", time.Time{}
			r := base
			row.change(&r)
			must(t, s.Insert(ctx, r))
			refuses("a new record", r)
			must(t, s.Update(ctx, base)) // by one who did not know of it
			refuses("a new record that was updated", r)

			base.ID = "later"
			if answer, err := old.insert(ctx, base).Int(); answer != 1 || err != nil {
				t.Fatal(answer, err)
			}
			r = base
			row.change(&r)
			must(t, s.Update(ctx, r))
			got, _, err := s.Get(ctx, r.ID)
			must(t, err)
			want, err := keys.Next(base, r)
			must(t, err)
			if got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
			if got != r && got.Environment == "" && got.CreatedBy == "" && got.Replaces == "" && r.Environment+r.CreatedBy+r.Replaces != "" {
				return // updates do not write these
			}
			refuses("an old record that was updated", r)
		})
	}
}
