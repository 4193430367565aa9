package redisstore_test

import (
	"context"
	"embed"
	"errors"
	"fmt"
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
		{"label", r.Label}, {"scopes", r.Scopes.String()}, {"before", r.Previous.Text()},
		{"until", millis(r.PreviousExpiresAt)}, {"expires", millis(r.ExpiresAt)}, {"revoked", millis(r.RevokedAt)},
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

// scale returns n, or less with -short.
func scale(n int) int {
	if testing.Short() {
		return n / 50
	}
	return n
}

// TestEarlierData reads, lists, updates and sweeps 100,000 records that the release
// before format 1 wrote, nine tenths of them revoked keys, before and after
// Migrate.
func TestEarlierData(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := connect(t, private(t, "--appendonly", "no").Socket)
	s := open(t, c, redisstore.Options{Timeout: time.Minute})
	must(t, errors.Join(earlierInsert.Load(ctx, c).Err(), earlierUpdate.Load(ctx, c).Err()))

	total := scale(100_000)
	all := make(map[string]keys.Record)
	var live, sweepable int
	now := created.Add(time.Hour)
	pipe := c.Pipeline()
	old := earlier{pipe, redisstore.DefaultPrefix}
	for i := range total {
		r := record(keys.KindKey, fmt.Sprintf("key %07d", i))
		switch {
		case i%1000 == 1:
			r.Kind, r.TokenLifetime = keys.KindClient, time.Hour
		case i%100 == 2:
			r = record(keys.KindToken, r.ID)
			r.Parent = fmt.Sprintf("key %07d", i/1000*1000+1)
			r.ExpiresAt = created.Add(time.Duration(i) * time.Second)
		case i%10 == 3:
			r.ExpiresAt = time.Time{}
		case i%10 == 4:
			r.ExpiresAt = now // over at that moment
		default:
			r.Previous, r.PreviousExpiresAt = digest, now
		}
		old.insert(ctx, r)
		if r.Kind == keys.KindKey && i%10 != 3 && i%20 != 4 {
			r.RevokedAt = now
			old.update(ctx, r)
			r.Version++
		}
		if r.Kind == keys.KindKey && !r.Revoked() && !r.Expired(now) {
			live++
		}
		if r.Sweepable(now) {
			sweepable++
		}
		all[r.ID] = r
		if pipe.Len() > 2000 {
			_, err := pipe.Exec(ctx)
			must(t, err)
		}
	}
	_, err := pipe.Exec(ctx)
	must(t, err)

	// check walks over the keys, and compares each with what was written.
	check := func(when string, onlyLive bool) {
		t.Helper()
		seen := 0
		for q := (keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 1000, Live: onlyLive}); ; {
			page, err := s.List(ctx, q)
			must(t, err)
			for _, r := range page {
				if seen++; r != all[r.ID] || r.ID <= q.After || onlyLive && r.Revoked() {
					t.Fatalf("%s: %+v, want %+v", when, r, all[r.ID])
				}
				q.After = r.ID
			}
			if len(page) < q.Limit {
				break
			}
		}
		want := 0
		for _, r := range all {
			if r.Kind == keys.KindKey && !(onlyLive && r.Revoked()) {
				want++
			}
		}
		if seen != want {
			t.Errorf("%s: %d keys, want %d", when, seen, want)
		}
	}
	check("before Migrate", false)
	check("before Migrate, live", true)
	token, parent, err := s.Get(ctx, "key 0000002")
	must(t, err)
	if token != all[token.ID] || parent != all[parent.ID] || parent.ID != "key 0000001" {
		t.Errorf("a token and its client: %+v, %+v", token, parent)
	}

	must(t, s.Migrate(ctx))
	check("after Migrate", false)
	check("after Migrate, live", true)
	checkLists(t, c, redisstore.DefaultPrefix, all)
	if n, err := s.Count(ctx, "acme", keys.KindKey, now, total); n != live || err != nil {
		t.Errorf("Count: %d, %v; want %d", n, err, live)
	}
	if orgs, err := s.Orgs(ctx, "", 10); err != nil || !cmp.Equal(orgs, []string{"acme"}) {
		t.Errorf("Orgs: %q, %v", orgs, err)
	}
	if n, err := s.Sweep(ctx, now, total); n != sweepable || err != nil {
		t.Errorf("Sweep: %d, %v; want %d", n, err, sweepable)
	}

	// A page of one among all the revoked ones reads the record that it returns.
	l := new(log)
	c.AddHook(l)
	page, err := s.List(ctx, keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 1, Live: true})
	if err != nil || len(page) != 1 || page[0].ID != "key 0000003" {
		t.Errorf("a page of one: %v, %v", page, err)
	}
	if n := l.count("hgetall"); n != 1 {
		t.Errorf("a page of one read %d records", n)
	}
}

// TestEarlierRevoked looks for the one live key behind 1,000 that the earlier
// release revoked. Steps get longer, so there are few.
func TestEarlierRevoked(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, c, p := fresh(t)
	must(t, earlierInsert.Load(ctx, c).Err())
	pipe := c.Pipeline()
	old := earlier{pipe, p}
	for i := range 1000 {
		r := record(keys.KindKey, fmt.Sprintf("key %04d", i))
		r.RevokedAt = created
		old.insert(ctx, r)
	}
	_, err := pipe.Exec(ctx)
	must(t, err)
	must(t, s.Insert(ctx, record(keys.KindKey, "last")))
	l := new(log)
	c.AddHook(l)
	page, err := s.List(ctx, keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 1, Live: true})
	if err != nil || len(page) != 1 || page[0].ID != "last" {
		t.Errorf("List: %v, %v", page, err)
	}
	if n := len(l.take()); n > 40 {
		t.Errorf("it took %d round trips", n)
	}
}

// checkLists compares the lists on the server with those that the records should
// have.
func checkLists(t *testing.T, c *redis.Client, prefix string, all map[string]keys.Record) {
	t.Helper()
	ctx := t.Context()
	want, got := make(map[string]map[string]float64), make(map[string]map[string]float64)
	put := func(key, id string, score float64) {
		if want[key] == nil {
			want[key] = make(map[string]float64)
		}
		want[key][id] = score
	}
	for id, r := range all {
		l := "i"
		if r.Revoked() {
			l = "x"
		} else if !r.ExpiresAt.IsZero() {
			put(redisstore.ListKey(prefix, "e", r.Kind, r.Org, id), id, float64(r.ExpiresAt.UnixMilli()))
		}
		put(redisstore.ListKey(prefix, l, r.Kind, r.Org, id), id, 0)
		put(redisstore.OrgsKey(prefix, id), r.Org, 0)
		if end := r.Ends(); r.Kind == keys.KindToken && !end.IsZero() {
			put(redisstore.DeathsKey(prefix, id), id, float64(end.UnixMilli()))
		}
	}
	names, err := c.Keys(ctx, prefix+":{*}:*").Result()
	must(t, err)
	for _, name := range names {
		if kind, err := c.Type(ctx, name).Result(); kind != "zset" || err != nil {
			continue
		}
		members, err := c.ZRangeWithScores(ctx, name, 0, -1).Result()
		must(t, err)
		got[name] = make(map[string]float64)
		for _, m := range members {
			got[name][m.Member.(string)] = m.Score
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the lists (-want +got):\n%.4000s", diff)
	}
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

// TestBesideEarlier has a process of the release before format 1 work on the same
// records as one of this release, while Migrate runs. Nothing that either wrote is
// lost, and Migrate leaves the lists right when the old process has ended.
func TestBesideEarlier(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, c, p := fresh(t)
	old := earlier{c, p}
	all := make(map[string]keys.Record)
	orgs := []string{"acme", "ac:me", "{acme}", "key:acme"}
	change := func(n int) {
		r := record(keys.KindKey, fmt.Sprint("it ", n))
		if n%3 == 0 {
			r = record(keys.KindToken, r.ID)
		}
		if n%5 == 0 {
			r.ExpiresAt = time.Time{}
		}
		r.Org = orgs[n%len(orgs)]
		step := func(byOld bool, does func() *redis.Cmd, do func() error) {
			t.Helper()
			if !byOld {
				must(t, do())
			} else if answer, err := does().Int(); answer != 1 || err != nil {
				t.Fatalf("%d: %d, %v", n, answer, err)
			}
		}
		step(n%2 == 0, func() *redis.Cmd { return old.insert(ctx, r) }, func() error { return s.Insert(ctx, r) })
		for i := range n % 4 {
			byOld := (n/4+i)%2 == 0
			switch (n + i) % 3 {
			case 0:
				r.RevokedAt = created
			case 1:
				r.Label += "."
			case 2:
				r.ExpiresAt = created.Add(time.Duration(n) * time.Hour)
			}
			step(byOld, func() *redis.Cmd { return old.update(ctx, r) }, func() error { return s.Update(ctx, r) })
			r.Version++
		}
		if n%9 == 0 && r.Sweepable(expires) {
			must(t, old.sweep(ctx, expires, r).Err())
			return
		}
		all[r.ID] = r
	}
	for n := range 100 {
		change(n)
	}
	done := make(chan error)
	go func() {
		for range 5 {
			if err := s.Migrate(ctx); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for n := 100; n < 400; n++ {
		change(n)
	}
	must(t, <-done)
	for _, r := range all {
		if got, _, err := s.Get(ctx, r.ID); got != r || err != nil {
			t.Errorf("%+v, %v; want %+v", got, err, r)
		}
	}
	for range 2 { // it can be called again
		must(t, s.Migrate(ctx))
		checkLists(t, c, p, all)
	}
}

// TestMigrateLeavesJunk checks that records that cannot be read stay where they
// are listed, so that List reports them.
func TestMigrateLeavesJunk(t *testing.T) {
	t.Parallel()
	for _, damage := range damages {
		t.Run(damage.name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			s, c, p := fresh(t)
			r := record(keys.KindKey, "key")
			must(t, s.Insert(ctx, r))
			must(t, damage.do(ctx, c, redisstore.RecordKey(p, r.ID)))
			must(t, s.Migrate(ctx))
			_, _, err := s.Get(ctx, r.ID)
			wants(t, "Get", err, keys.ErrCorrupt)
			says, err := c.HMGet(ctx, redisstore.RecordKey(p, r.ID), "org", "kind").Result()
			if err == nil && says[0] != nil && says[1] != nil && (says[0] != "acme" || says[1] != "key") {
				return // it belongs elsewhere
			}
			_, err = s.List(ctx, keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 10})
			wants(t, "List", err, keys.ErrCorrupt)
		})
	}
}
