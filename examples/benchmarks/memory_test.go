package benchmarks_test

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
)

const million = 1_000_000

// BenchmarkBucketMemory fills limiters with a million buckets, none of which is
// full again soon. One op is the first request of one key; B/key is what is in
// use after a full collection. The names are kept elsewhere, so that what a
// limiter takes to keep them is not counted against it.
func BenchmarkBucketMemory(b *testing.B) {
	all := names(million)
	for _, impl := range limiters {
		b.Run(fmt.Sprintf("keys=%d/impl=%s", million, impl.name), func(b *testing.B) {
			fill(b, "B/key", func() any {
				decide := impl.new(b, quota{10, time.Hour})
				for _, name := range all {
					if !decide(name) {
						b.Fatal("refused")
					}
				}
				return decide
			})
		})
	}
}

// fill measures a function that returns something with a million entries, and
// reports the bytes of one under a unit. The time of one op is that of an entry.
func fill(b *testing.B, unit string, build func() any) {
	rounds, size := 0, int64(0)
	for b.Loop() {
		b.StopTimer()
		before := heap()
		b.StartTimer()
		x := build()
		b.StopTimer()
		size = max(size, heap()-before)
		runtime.KeepAlive(x)
		rounds++
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rounds*million), "ns/op")
	b.ReportMetric(float64(size)/million, unit)
}

// recordSeq returns the i-th record of the fills: one of ten keys of its
// organization, with text that nothing else holds.
func recordSeq(i int, digest keys.Digest, set scopes.Set, created time.Time) keys.Record {
	return keys.Record{
		ID: fmt.Sprintf("key_%022d", i), Kind: keys.KindKey, Org: "org_" + strconv.Itoa(i/10), Label: "CI",
		Scopes: set, RateLimit: 600, Digest: digest, CreatedAt: created, ExpiresAt: created.AddDate(1, 0, 0), Version: 1,
	}
}

// records are the places for a million records: store.Memory, which lists the
// records of an organization, never gives an ID out again, swaps by version, and
// never locks out readers, and a map that does none of it.
var records = []struct {
	name string
	fill func(n int, next func(i int) keys.Record) any
}{
	{"floor", func(n int, next func(int) keys.Record) any {
		m := make(map[string]*keys.Record)
		for i := range n {
			r := next(i)
			m[r.ID] = &r
		}
		return m
	}},
	{"claviger", func(n int, next func(int) keys.Record) any {
		m, ctx := new(store.Memory), context.Background()
		for i := range n {
			if err := m.Insert(ctx, next(i)); err != nil {
				panic(err)
			}
		}
		return m
	}},
}

// BenchmarkRecordMemory inserts a million records. One op is one of them, the
// making of its text included; B/record is what is in use after a full
// collection.
func BenchmarkRecordMemory(b *testing.B) {
	digest := must(keys.ParseDigest("$sha256$v=1$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"))
	set, created := scopes.MustParse(scope), time.UnixMilli(1_800_000_000_000).UTC()
	next := func(i int) keys.Record { return recordSeq(i, digest, set, created) }
	for _, impl := range records {
		b.Run(fmt.Sprintf("records=%d/impl=%s", million, impl.name), func(b *testing.B) {
			fill(b, "B/record", func() any { return impl.fill(million, next) })
		})
	}
}

func TestRecords(t *testing.T) {
	t.Parallel()
	digest := must(keys.ParseDigest("$sha256$v=1$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"))
	next := func(i int) keys.Record { return recordSeq(i, digest, scopes.MustParse(scope), time.UnixMilli(1).UTC()) }
	floor := records[0].fill(1000, next).(map[string]*keys.Record)
	claviger := records[1].fill(1000, next).(*store.Memory)
	for i := range 1000 {
		want := next(i)
		got, _, err := claviger.Get(t.Context(), want.ID)
		if err != nil || got != want || floor[want.ID] == nil || *floor[want.ID] != want {
			t.Fatalf("record %d: %v, %v, %v, want %v", i, got, err, floor[want.ID], want)
		}
	}
}
