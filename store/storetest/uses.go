package storetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// A useStore is what the clauses of [keys.UseStore] are about.
type useStore interface {
	keys.Store
	keys.UseStore
}

// useRule makes a clause of [keys.UseStore].
func useRule(name, doc string, check func(*probe, useStore), needs ...string) clause[keys.Store] {
	return optional("keys.UseStore", name, doc, check, needs...)
}

var useClauses = []clause[keys.Store]{
	useRule(usesRoundTrip,
		"LastUses returns the times that NoteUses noted, as the same instants in whole milliseconds, for records of every "+
			"kind, dead ones included. IDs that no use was noted for are absent, and do not come with a zero time. The map is the caller's.",
		usesAreKept, roundTrip),
	useRule("uses-later-wins",
		"Of two times that are noted for an ID the later stays, whether it is noted first or last. Nodes note uses in "+
			"batches, and a slow one must not turn the time back.",
		usesLaterWins, usesRoundTrip),
	useRule(passesOver,
		"IDs that no record has are passed over, hostile text included: the other uses of the batch are noted, "+
			"no record appears, and nothing is kept for a record that comes later. The use of a token that Sweep removed goes with it.",
		usesOfUnknownIDs, usesRoundTrip, hostileID, idBytes, sweeps),
	useRule("uses-in-large-batches",
		"Batches are as large as the caller makes them. A store whose database limits the parameters of a "+
			"statement, or the arguments of a script, cuts them up.",
		usesInLargeBatches, passesOver),
	useRule("uses-change-no-record",
		"NoteUses changes nothing of a record: not its version, so that an Update of the version read before "+
			"goes well, and no field, so that it never undoes a revocation.",
		usesChangeNoRecord, usesRoundTrip, listFresh, compares),
	useRule("uses-survive-update",
		"Updates leave the last use as it was, revocations too. An audit of a leaked key begins with when it was last used.",
		usesSurviveUpdate, "uses-later-wins", "uses-change-no-record"),
	useRule("uses-context-ended",
		"NoteUses and LastUses with a context that has ended fail with an error, and nothing is noted. An error "+
			"is none of ErrNotFound, ErrExists, ErrConflict and ErrInvalid.",
		usesEnded, usesRoundTrip),
	useRule("uses-concurrent",
		"NoteUses is safe for concurrent use, whatever the order of the IDs in each batch: all calls go well, the latest time "+
			"stays, LastUses never goes back, and no Update meanwhile is refused or lost. Reading the time "+
			"first and writing then, or locking rows in the order of a map, breaks this.",
		usesConcurrent, concurrent, "uses-survive-update"),
}

// used is the time of the first use in most clauses.
var used = created.Add(36 * time.Hour)

func (p *probe) noteUses(s useStore, uses map[string]time.Time) {
	p.ok(s.NoteUses(p.ctx, uses), "NoteUses of %s", quoteUses(uses))
}

// noteUse notes the use of one record.
func (p *probe) noteUse(s useStore, r keys.Record, t time.Time) {
	p.noteUses(s, map[string]time.Time{r.ID: t})
}

// lastUses fails unless LastUses of the IDs returns exactly these.
func (p *probe) lastUses(s useStore, want map[string]time.Time, when string, ids ...string) {
	got, err := s.LastUses(p.ctx, ids)
	p.ok(err, "LastUses %s", when)
	if text, wanted := quoteUses(got), quoteUses(want); text != wanted {
		p.failf("LastUses %s gave\n\t%s\nwant\n\t%s", when, text, wanted)
	}
}

// lastUse fails unless r was last used at t.
func (p *probe) lastUse(s useStore, r keys.Record, t time.Time, when string) {
	p.lastUses(s, map[string]time.Time{r.ID: t}, when, r.ID)
}

// quoteUses returns uses in the order of their IDs, the first ten of them.
func quoteUses(uses map[string]time.Time) string {
	var lines []string
	for id, t := range uses {
		lines = append(lines, quote(id)+": "+show(t.UTC()))
	}
	slices.Sort(lines)
	if n := len(lines); n > 10 {
		lines = append(lines[:10], fmt.Sprintf("… (%d in all)", n))
	}
	return "{" + strings.Join(lines, ", ") + "}"
}

func usesAreKept(p *probe, s useStore) {
	want := make(map[string]time.Time)
	var ids []string
	last := time.Date(9999, time.December, 31, 23, 59, 59, 999e6, time.UTC)
	for i, kind := range kinds {
		for j, r := range append(p.dead(kind), p.full(kind, string(kind)), p.sparse(kind, "sparse "+string(kind))) {
			p.insert(s, r)
			ids = append(ids, r.ID)
			want[r.ID] = used.Add(time.Duration(i)*time.Hour + time.Duration(j)*time.Millisecond)
		}
		idle := p.full(kind, "idle "+string(kind))
		p.insert(s, idle)
		ids = append(ids, idle.ID)
	}
	want[ids[0]] = last
	p.lastUses(s, nil, "before any use", ids...)
	p.noteUses(s, want)
	p.lastUses(s, want, "after NoteUses", ids...)
	p.lastUse(s, keys.Record{ID: ids[1]}, want[ids[1]], "of one of several")
	p.lastUse(s, keys.Record{ID: ids[1]}, want[ids[1]], "of one of several, again")
	p.lastUses(s, map[string]time.Time{ids[1]: want[ids[1]]}, "of one ID twice", ids[1], ids[1])
	p.lastUses(s, nil, "of no IDs")
	p.noteUses(s, nil)
	mine, err := s.LastUses(p.ctx, ids[:1])
	p.ok(err, "LastUses")
	// The year is another one in these zones.
	east, west := time.FixedZone("east", 14*3600), time.FixedZone("west", -12*3600)
	first, other, late := p.full(keys.KindKey, "first"), p.full(keys.KindKey, "other"), p.full(keys.KindKey, "late")
	p.insert(s, first, other, late)
	ids = append(ids, first.ID, other.ID, late.ID)
	p.noteUses(s, map[string]time.Time{
		other.ID: used.AddDate(1, 0, 0).In(east), first.ID: time.Unix(0, 0).In(west), late.ID: last.In(east),
	})
	want[other.ID], want[first.ID], want[late.ID] = used.AddDate(1, 0, 0), time.Unix(0, 0), last
	p.lastUses(s, want, "after a NoteUses of nothing and one of times in other zones", ids...)
	if len(mine) != 1 || !mine[ids[0]].Equal(last) {
		p.failf("the map of LastUses of %s became %s when others were asked for", quote(ids[0]), quoteUses(mine))
	}
	clear(mine)
	p.lastUses(s, want, "after the caller had emptied another answer", ids...)
}

func usesLaterWins(p *probe, s useStore) {
	a, b := p.full(keys.KindKey, "a"), p.full(keys.KindToken, "b")
	p.insert(s, a, b)
	latest := used
	p.noteUse(s, b, used)
	for _, step := range []time.Duration{0, time.Millisecond, -time.Millisecond, 0, time.Second, 999 * time.Millisecond, 10 * time.Hour, 9 * time.Hour, -1000 * time.Hour} {
		t := used.Add(step)
		if t.After(latest) {
			latest = t
		}
		p.noteUse(s, a, t)
		p.lastUse(s, a, latest, "after a use at "+show(t)+" was noted")
	}
	p.noteUses(s, map[string]time.Time{a.ID: used, b.ID: used.Add(time.Minute)})
	p.lastUses(s, map[string]time.Time{a.ID: latest, b.ID: used.Add(time.Minute)}, "after a batch with an earlier and a later use", a.ID, b.ID)
}

func usesOfUnknownIDs(p *probe, s useStore) {
	r, late := p.full(keys.KindKey, "a"), p.full(keys.KindKey, "late")
	token := p.full(keys.KindToken, "b")
	p.insert(s, r, token)
	batch := map[string]time.Time{r.ID: used, late.ID: used, token.Parent: used, strings.ToUpper(r.ID): used}
	for _, id := range p.junk() {
		batch[id] = used
	}
	ids := make([]string, 0, len(batch))
	for id := range batch {
		ids = append(ids, id)
	}
	want := map[string]time.Time{r.ID: used}
	for range 2 {
		p.noteUses(s, batch)
		p.lastUses(s, want, "of one ID that is there and many that are not", ids...)
	}
	for _, id := range ids {
		if id != r.ID {
			p.absent(s, id)
		}
	}
	p.insert(s, late)
	p.lastUses(s, want, "after a record came whose ID was passed over before", ids...)
	p.noteUse(s, late, used.Add(-time.Hour))
	p.lastUse(s, late, used.Add(-time.Hour), "of the record that came late")

	gone := p.sparse(keys.KindToken, "gone")
	gone.ExpiresAt = expired
	p.insert(s, gone)
	p.noteUse(s, gone, used)
	p.swept(s, now, 10, 1)
	p.lastUses(s, want, "of a token that was swept, and another", gone.ID, r.ID)
	p.insert(s, gone)
	p.lastUses(s, want, "of a token that was swept and inserted again, and another", gone.ID, r.ID)
}

// crowd returns uses of very many IDs that no record has, always the same map. They
// are more than the 65,535 parameters that a statement can have in most databases,
// and fewer than [keys.DefaultMaxUses].
var crowd = sync.OnceValue(func() map[string]time.Time {
	uses := make(map[string]time.Time)
	for i := range 70_000 {
		uses["nobody."+strconv.Itoa(i)] = used
	}
	return uses
})

func usesInLargeBatches(p *probe, s useStore) {
	r := p.full(keys.KindKey, "a")
	p.insert(s, r)
	batch := maps.Clone(crowd())
	ids := slices.Collect(maps.Keys(batch))
	batch[r.ID] = used
	ids = slices.Insert(ids, len(ids)/2, r.ID)
	if err := s.NoteUses(p.ctx, batch); err != nil {
		p.failf("NoteUses of %d IDs failed: %v", len(batch), err)
	}
	p.lastUses(s, map[string]time.Time{r.ID: used}, fmt.Sprintf("of %d IDs", len(ids)), ids...)
}

func usesChangeNoRecord(p *probe, s useStore) {
	for _, kind := range kinds {
		live, gone := p.full(kind, string(kind)), p.revokedRecord(s, kind)
		live.ID += " live"
		sparse := p.sparse(kind, "sparse "+string(kind))
		p.insert(s, live, sparse)
		all := []keys.Record{live, sparse, gone}
		for n := range 3 {
			t := used.Add(time.Duration(n) * time.Hour)
			p.noteUses(s, map[string]time.Time{live.ID: t, sparse.ID: t, gone.ID: t})
			for _, r := range all {
				p.same(p.get(s, r.ID), r, "the record after NoteUses")
			}
		}
		p.sameSet(p.list(s, keys.Query{Org: p.clause, Kind: kind, Limit: 10}), all, "List after NoteUses")
		for _, r := range all {
			next := changed(r)
			p.ok(s.Update(p.ctx, next), "Update, after NoteUses, of the version that was read before it,")
			next.Version++
			next.RevokedAt = revoked
			next = p.updated(s, next)
			p.noteUse(s, r, used.AddDate(1, 0, 0))
			p.same(p.get(s, r.ID), next, "the record after NoteUses, Update, the Update that revoked it, and NoteUses")
		}
	}
}

func usesSurviveUpdate(p *probe, s useStore) {
	for _, kind := range kinds {
		r := p.full(kind, string(kind))
		p.insert(s, r)
		p.noteUse(s, r, used)
		for range 3 {
			r = p.updated(s, changed(r))
			p.lastUse(s, r, used, "after Update")
		}
		r.RevokedAt = revoked
		r = p.updated(s, r)
		p.lastUse(s, r, used, "after the Update that revoked the record")
		p.noteUse(s, r, used.Add(time.Second))
		p.lastUse(s, r, used.Add(time.Second), "after a use of the revoked record")
		r.RevokedAt = revoked.Add(-time.Minute)
		r = p.updated(s, r)
		p.lastUse(s, r, used.Add(time.Second), "after another Update")
	}
}

func usesEnded(p *probe, s useStore) {
	r := p.full(keys.KindKey, "a")
	p.insert(s, r)
	p.noteUse(s, r, used)
	for _, id := range []string{r.ID, p.clause + ".nobody"} {
		p.ended("NoteUses", func(ctx context.Context) error {
			return s.NoteUses(ctx, map[string]time.Time{id: used.Add(time.Hour)})
		})
		p.ended("LastUses", func(ctx context.Context) error {
			_, err := s.LastUses(ctx, []string{id})
			return err
		})
	}
	p.lastUse(s, r, used, "after a NoteUses whose context had ended")
}
