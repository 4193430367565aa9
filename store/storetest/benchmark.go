package storetest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// What a store holds while it is measured, besides what is inserted then.
const (
	benchOrgs    = 4
	benchPerOrg  = 100 // keys, and as many tokens of one client
	benchCallers = 8   // of parallel benchmarks, for each processor
)

// BenchmarkRecords measures the methods of a store in sub-benchmarks, the same
// ones for every store, so that stores can be compared. It calls open once, for
// an empty store, and puts some hundred records into it. Call it from a
// benchmark:
//
//	func BenchmarkRecords(b *testing.B) {
//		storetest.BenchmarkRecords(b, func(t testing.TB) keys.Store { return open(t) })
//	}
//
// The benchmark op=family gets a token and its client. The benchmarks of uses are left
// out if the store is no [keys.UseStore].
func BenchmarkRecords(b *testing.B, open func(t testing.TB) keys.Store) {
	b.Helper()
	s := newSample(b, open(b))
	b.Run("op=get/outcome=found", s.get)
	b.Run("op=get/outcome=unknown", s.getUnknown)
	b.Run(fmt.Sprintf("op=get/parallel=%d", benchCallers), s.getParallel)
	b.Run("op=family", s.readFamily)
	b.Run(fmt.Sprintf("op=list/limit=%d", benchPerOrg), s.list)
	b.Run("op=update", s.update)
	if uses, ok := s.Store.(useStore); ok && has[useStore](s.Store) {
		b.Run(fmt.Sprintf("op=note-uses/ids=%d", benchPerOrg), func(b *testing.B) { s.noteUses(b, uses) })
		b.Run(fmt.Sprintf("op=last-uses/ids=%d", benchPerOrg), func(b *testing.B) { s.lastUses(b, uses) })
	}
	b.Run("op=insert", s.insert)
}

// A sample is a store and the IDs of the records that it was given.
type sample struct {
	keys.Store
	keys, tokens []string
}

// newSample fills a store. It inserts records of the organizations in turn, so that
// records which are inserted one after the other are not neighbours in a list.
func newSample(b *testing.B, store keys.Store) *sample {
	b.Helper()
	s := &sample{Store: store}
	add := func(r keys.Record) string {
		if err := s.Insert(b.Context(), r); err != nil {
			b.Fatal(err)
		}
		return r.ID
	}
	var clients [benchOrgs]string
	for i := range clients {
		clients[i] = add(benchRecord(keys.KindClient, i))
	}
	for range benchPerOrg {
		for i, client := range clients {
			s.keys = append(s.keys, add(benchRecord(keys.KindKey, i)))
			token := benchRecord(keys.KindToken, i)
			token.Parent = client
			s.tokens = append(s.tokens, add(token))
		}
	}
	return s
}

// benchRecord returns a record with an ID like those of real ones.
func benchRecord(kind keys.Kind, org int) keys.Record {
	prefix := map[keys.Kind]string{keys.KindKey: "vck_live_", keys.KindClient: "cc_", keys.KindToken: "oauth_"}[kind]
	p := &probe{clause: "benchmark"}
	r := p.full(kind, "")
	r.ID = prefix + rand.Text()[:22]
	r.Org = fmt.Sprintf("organization %d", org)
	return r
}

func (s *sample) get(b *testing.B) {
	b.ReportAllocs()
	ctx, i := b.Context(), 0
	for b.Loop() {
		if _, _, err := s.Get(ctx, s.keys[i]); err != nil {
			b.Fatal(err)
		}
		i = (i + 1) % len(s.keys)
	}
}

func (s *sample) getUnknown(b *testing.B) {
	b.ReportAllocs()
	ctx := b.Context()
	for b.Loop() {
		if _, _, err := s.Get(ctx, "vck_live_ABCDEFGHIJKLMNOPQRSTUV"); !errors.Is(err, keys.ErrNotFound) {
			b.Fatalf("Get of an unknown ID: %v", err)
		}
	}
}

func (s *sample) getParallel(b *testing.B) {
	b.ReportAllocs()
	b.SetParallelism(benchCallers)
	ctx := b.Context()
	var callers atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		i := int(callers.Add(1)) * 31 % len(s.keys)
		for pb.Next() {
			if _, _, err := s.Get(ctx, s.keys[i]); err != nil {
				b.Error(err)
				return
			}
			i = (i + 1) % len(s.keys)
		}
	})
}

// readFamily reads tokens and their clients.
func (s *sample) readFamily(b *testing.B) {
	b.ReportAllocs()
	ctx, i := b.Context(), 0
	for b.Loop() {
		if _, parent, err := s.Get(ctx, s.tokens[i]); err != nil || parent.ID == "" {
			b.Fatalf("a token with the client %q, %v", parent.ID, err)
		}
		i = (i + 1) % len(s.tokens)
	}
}

func (s *sample) list(b *testing.B) {
	q := keys.Query{Org: "organization 0", Kind: keys.KindKey, Limit: benchPerOrg}
	b.ReportAllocs()
	ctx := b.Context()
	for b.Loop() {
		if page, err := s.List(ctx, q); err != nil || len(page) != benchPerOrg {
			b.Fatalf("List returned %d records, %v", len(page), err)
		}
	}
}

func (s *sample) update(b *testing.B) {
	ctx := b.Context()
	r, _, err := s.Get(ctx, s.keys[0])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Update(ctx, r); err != nil {
			b.Fatal(err)
		}
		r.Version++
	}
}

// insert makes its records in chunks, with the clock stopped.
func (s *sample) insert(b *testing.B) {
	chunk := make([]keys.Record, 1000)
	b.ReportAllocs()
	ctx, i := b.Context(), len(chunk)
	for b.Loop() {
		if i == len(chunk) {
			b.StopTimer()
			for i = range chunk {
				chunk[i] = benchRecord(keys.KindKey, benchOrgs)
			}
			i = 0
			b.StartTimer()
		}
		if err := s.Insert(ctx, chunk[i]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func (s *sample) noteUses(b *testing.B, store useStore) {
	batch, t := make(map[string]time.Time, benchPerOrg), used
	b.ReportAllocs()
	ctx := b.Context()
	for b.Loop() {
		t = t.Add(time.Second)
		for _, id := range s.keys[:benchPerOrg] {
			batch[id] = t
		}
		if err := store.NoteUses(ctx, batch); err != nil {
			b.Fatal(err)
		}
	}
}

func (s *sample) lastUses(b *testing.B, store useStore) {
	b.ReportAllocs()
	ctx := b.Context()
	for b.Loop() {
		if _, err := store.LastUses(ctx, s.keys[:benchPerOrg]); err != nil {
			b.Fatal(err)
		}
	}
}
