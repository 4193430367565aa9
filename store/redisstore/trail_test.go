package redisstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/redisstore"
)

// trailed returns a manager with a trail.
func trailed(t testing.TB, s *redisstore.Store) *keys.Manager {
	t.Helper()
	m, err := keys.NewManager(uncached{s, s}, &keys.Options{Trail: true, Timeout: patience})
	must(t, err)
	return m
}

// An edit is something that somebody does to the entry at a position of a chain of n
// entries, and the first position that is wrong then.
type edit struct {
	name string
	do   func(ctx context.Context, c *redis.Client, e entryAt) error
	at   func(seq, n int64) int64
}

// An entryAt is where an entry is: the keys of its chain and of the end of that.
type entryAt struct {
	chain, ends string
	seq         int64
	text        string
}

func (e entryAt) id() string { return fmt.Sprint(e.seq, "-0") }

// write puts another text in the place of the entry. A stream takes none before its
// last, so all that come after are written again.
func (e entryAt) write(ctx context.Context, c *redis.Client, text string, more ...any) error {
	all, err := c.XRange(ctx, e.chain, "-", "+").Result()
	if err == nil {
		err = c.Del(ctx, e.chain).Err()
	}
	for _, m := range all {
		values := []any{"e", m.Values["e"]}
		if m.ID == e.id() {
			if text == "" {
				continue
			}
			values = append([]any{"e", text}, more...)
		}
		if err == nil {
			err = c.XAdd(ctx, &redis.XAddArgs{Stream: e.chain, ID: m.ID, Values: values}).Err()
		}
	}
	return err
}

func there(seq, _ int64) int64 { return seq }
func first(_, _ int64) int64   { return 1 }

// replaced is an edit of the text of an entry.
func replaced(name, old, text string) edit {
	return edit{name, func(ctx context.Context, c *redis.Client, e entryAt) error {
		if !strings.Contains(e.text, old) {
			return fmt.Errorf("%q is not in %s", old, e.text)
		}
		return e.write(ctx, c, strings.Replace(e.text, old, text, 1))
	}, there}
}

var edits = []edit{
	replaced("another actor", `"actor":"cli:anna"`, `"actor":"cli:eve"`),
	replaced("no actor", `"actor":"cli:anna",`, ``),
	replaced("another address", `192.0.2.1`, `192.0.2.2`),
	replaced("no address", `"address":"192.0.2.1"`, `"address":"x"`),
	replaced("another organization", `"org":"acme"`, `"org":"globex"`),
	replaced("another action", `"action":"r`, `"action":"x`),
	replaced("another version", `"version":`, `"version":1`),
	replaced("another time", `"time":"2`, `"time":"1`),
	replaced("another hash", `"hash":"`, `"hash":"0`),
	replaced("another form", `{`, `{ `),
	replaced("one more member", `{`, `{"x":1,`),
	replaced("a member twice", `{`, `{"actor":"cli:eve",`),
	replaced("no JSON", `{`, ``),
	{"one more field", func(ctx context.Context, c *redis.Client, e entryAt) error { return e.write(ctx, c, e.text, "x", "y") }, there},
	{"an entry is removed", func(ctx context.Context, c *redis.Client, e entryAt) error {
		return c.XDel(ctx, e.chain, e.id()).Err()
	}, there},
	{"the beginning is removed", func(ctx context.Context, c *redis.Client, e entryAt) error {
		return c.XTrimMinID(ctx, e.chain, fmt.Sprint(e.seq+1, "-0")).Err()
	}, first},
	{"all is removed", func(ctx context.Context, c *redis.Client, e entryAt) error { return c.Del(ctx, e.chain).Err() }, first},
	{"two entries change places", func(ctx context.Context, c *redis.Client, e entryAt) error {
		next, err := c.XRange(ctx, e.chain, fmt.Sprint(e.seq+1, "-0"), "+").Result()
		if err == nil {
			err = e.write(ctx, c, next[0].Values["e"].(string))
		}
		other := e
		other.seq++
		return errors.Join(err, other.write(ctx, c, e.text))
	}, there},
	{"an entry between two others", func(ctx context.Context, c *redis.Client, e entryAt) error {
		all, err := c.XRange(ctx, e.chain, "-", "+").Result()
		err = errors.Join(err, c.Del(ctx, e.chain).Err())
		for _, m := range all {
			err = errors.Join(err, c.XAdd(ctx, &redis.XAddArgs{Stream: e.chain, ID: m.ID, Values: m.Values}).Err())
			if m.ID == e.id() {
				err = errors.Join(err, c.XAdd(ctx, &redis.XAddArgs{Stream: e.chain, ID: fmt.Sprint(e.seq, "-5"), Values: m.Values}).Err())
			}
		}
		return err
	}, there},
	{"the end is noted elsewhere", func(ctx context.Context, c *redis.Client, e entryAt) error {
		return c.HIncrBy(ctx, e.ends, "seq", 1).Err()
	}, func(_, n int64) int64 { return n + 1 }},
	{"an end is noted that was passed", func(ctx context.Context, c *redis.Client, e entryAt) error {
		var entry keys.Entry
		if err := json.Unmarshal([]byte(e.text), &entry); err != nil {
			return err
		}
		return c.HSet(ctx, e.ends, "seq", e.seq, "hash", entry.Hash.String()).Err()
	}, func(seq, _ int64) int64 { return seq + 1 }},
	{"the note of the end is removed", func(ctx context.Context, c *redis.Client, e entryAt) error { return c.Del(ctx, e.ends).Err() }, first},
	{"another hash is noted for the end", func(ctx context.Context, c *redis.Client, e entryAt) error {
		return c.HSet(ctx, e.ends, "hash", strings.Repeat("0", 64)).Err()
	}, func(_, n int64) int64 { return n }},
	{"a cut is noted that nobody made", func(ctx context.Context, c *redis.Client, e entryAt) error {
		return c.HSet(ctx, e.ends, "cut", e.seq, "cuthash", strings.Repeat("1", 64)).Err()
	}, first},
	// A checkpoint alone tells this.
	{"all is removed, and the note of the end", func(ctx context.Context, c *redis.Client, e entryAt) error {
		return c.Del(ctx, e.chain, e.ends).Err()
	}, first},
}

// Random edits to the keys of the trail are all found, at the first entry that was
// edited.
func TestTrailTampered(t *testing.T) {
	t.Parallel()
	s, c, prefix := fresh(t)
	m := trailed(t, s)
	ctx := keys.NewAddressContext(keys.NewContext(t.Context(), keys.Principal{ID: "cli:anna"}), netip.MustParseAddr("192.0.2.1"))
	issued, err := m.Create(ctx, "acme", keys.Spec{})
	must(t, err)
	label := ""
	for n := range 8 { // one ID, and so one chain
		label += fmt.Sprint(n)
		_, err = m.Change(ctx, "acme", keys.KindKey, issued.Record.ID, keys.Change{Label: &label})
		must(t, err)
	}
	must(t, m.Revoke(ctx, "acme", keys.KindKey, issued.Record.ID))
	kept, err := m.VerifyTrail(t.Context(), "acme")
	must(t, err)
	if len(kept) != 1 || kept[0].Seq != 10 {
		t.Fatalf("checkpoints %v", kept)
	}
	chain := prefix + ":{" + kept[0].Chain + "}:t:acme"
	ends := prefix + ":{" + kept[0].Chain + "}:h:acme"
	all, err := c.XRange(t.Context(), chain, "-", "+").Result()
	must(t, err)
	note, err := c.HGetAll(t.Context(), ends).Result()
	must(t, err)
	tried := 0
	for _, e := range edits {
		for range 5 {
			seq := 1 + rand.Int64N(9)
			if strings.Contains(e.name, "action") {
				seq = 10 // the revocation
			}
			at := entryAt{chain, ends, seq, all[seq-1].Values["e"].(string)}
			must(t, e.do(t.Context(), c, at))
			var tampered *keys.TamperError
			_, err := m.VerifyTrail(t.Context(), "acme", kept...)
			if want := e.at(seq, 10); !errors.As(err, &tampered) || tampered.Seq != want {
				t.Errorf("%s, at %d: want entry %d, found %v", e.name, seq, want, err)
			}
			tried++
			must(t, c.Del(t.Context(), chain, ends).Err())
			for _, m := range all {
				must(t, c.XAdd(t.Context(), &redis.XAddArgs{Stream: chain, ID: m.ID, Values: m.Values}).Err())
			}
			must(t, c.HSet(t.Context(), ends, note).Err())
		}
	}
	t.Logf("%d edits", tried)
	if _, err := m.VerifyTrail(t.Context(), "acme", kept...); err != nil {
		t.Errorf("after all was put back: %v", err)
	}
}

// A change takes one trip with an entry too, and one more if another process has
// added to the chain. Without a trail nothing is read or written of it.
func TestTrailTrips(t *testing.T) {
	t.Parallel()
	p := prefix()
	var l log
	c := connect(t, server(t).Socket)
	other := trailed(t, open(t, connect(t, server(t).Socket), redisstore.Options{Prefix: p}))
	s := open(t, c, redisstore.Options{Prefix: p})
	m := trailed(t, s)
	issued, err := m.Create(t.Context(), "acme", keys.Spec{})
	must(t, err)
	c.AddHook(&l)
	change := func(m *keys.Manager) {
		t.Helper()
		label := fmt.Sprint(rand.Int())
		_, err := m.Change(t.Context(), "acme", keys.KindKey, issued.Record.ID, keys.Change{Label: &label})
		must(t, err)
	}
	change(m) // the server may not know the scripts
	trips := func(want ...string) {
		t.Helper()
		l.mu.Lock()
		defer l.mu.Unlock()
		if diff := cmp.Diff(want, l.trips); diff != "" {
			t.Errorf("round trips (-want +got):\n%s", diff)
		}
		l.trips = nil
	}
	l.trips = nil
	change(m)
	trips("evalsha", "evalsha") // a read and a write
	change(other)
	change(m)
	trips("evalsha", "evalsha", "evalsha")
	// What was refused is no end of the chain.
	refused := keys.Entry{Org: "acme", Time: created, Action: keys.ActionCreated, ID: issued.Record.ID}
	wants(t, "Insert", s.Insert(keys.NewEntryContext(t.Context(), refused), issued.Record), keys.ErrExists)
	change(m)
	trips("evalsha", "evalsha", "evalsha")

	plain, err := keys.NewManager(uncached{open(t, c, redisstore.Options{Prefix: p}), nil}, &keys.Options{Timeout: patience})
	must(t, err)
	before, err := m.VerifyTrail(t.Context(), "acme")
	must(t, err)
	change(plain)
	after, err := m.VerifyTrail(t.Context(), "acme", before...)
	must(t, err)
	if before[0].Seq != 6 || after[0].Seq != 6 {
		t.Errorf("the chain ends at %d and %d, want 6", before[0].Seq, after[0].Seq)
	}
}

// What stands where the trail should be fails the change, which is not made.
func TestTrailAndRecord(t *testing.T) {
	t.Parallel()
	s, c, prefix := fresh(t)
	m := trailed(t, s)
	issued, err := m.Create(t.Context(), "acme", keys.Spec{})
	must(t, err)
	kept, err := m.VerifyTrail(t.Context(), "acme")
	must(t, err)
	ends := prefix + ":{" + kept[0].Chain + "}:h:acme"
	for name, spoil := range map[string]func() error{
		"another type": func() error {
			return errors.Join(c.Del(t.Context(), ends).Err(), c.Set(t.Context(), ends, "x", 0).Err())
		},
		"no position": func() error {
			return errors.Join(c.Del(t.Context(), ends).Err(), c.HSet(t.Context(), ends, "seq", "x").Err())
		},
		"no hash": func() error {
			return errors.Join(c.Del(t.Context(), ends).Err(), c.HSet(t.Context(), ends, "seq", "7").Err())
		},
		"position zero": func() error {
			return errors.Join(c.Del(t.Context(), ends).Err(), c.HSet(t.Context(), ends, "seq", "0", "hash", strings.Repeat("0", 64)).Err())
		},
		"before the stream": func() error { return c.Del(t.Context(), ends).Err() },
	} {
		must(t, spoil())
		if err := m.Revoke(t.Context(), "acme", keys.KindKey, issued.Record.ID); err == nil {
			t.Errorf("%s: a key was revoked without an entry", name)
		}
		rec, _, err := s.Get(t.Context(), issued.Record.ID)
		must(t, err)
		if rec != issued.Record {
			t.Errorf("%s: the record is %+v, want %+v", name, rec, issued.Record)
		}
	}
}

// BenchmarkTrail has writers change keys of one organization, with a trail and
// without.
func BenchmarkTrail(b *testing.B) {
	for _, trail := range []bool{false, true} {
		for _, writers := range []int{1, 8} {
			b.Run(fmt.Sprintf("trail=%t/writers=%d", trail, writers), func(b *testing.B) {
				s, _, _ := fresh(b)
				m, err := keys.NewManager(uncached{s, s}, &keys.Options{Trail: trail, Timeout: 10 * time.Second})
				must(b, err)
				ids := make([]string, writers)
				for i := range ids {
					issued, err := m.Create(b.Context(), "acme", keys.Spec{})
					must(b, err)
					ids[i] = issued.Record.ID
				}
				b.ResetTimer()
				var wg sync.WaitGroup
				for _, id := range ids {
					wg.Go(func() {
						for n := range b.N/writers + 1 {
							label := fmt.Sprint(n)
							if _, err := m.Change(b.Context(), "acme", keys.KindKey, id, keys.Change{Label: &label}); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
			})
		}
	}
}
