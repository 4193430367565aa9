package storetest

import (
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

var crowdClauses = []clause[keys.Store]{
	rule("list-has-no-cap",
		"List returns as many records as the limit says, even above a hundred or a thousand. A cap of the store's own makes "+
			"callers believe that there are no more.",
		listHasNoCap, concurrent, listLimit, ordered, live),
	rule("sweep-finds-all",
		"Sweep removes fewer tokens than the limit only if no more are dead, however many live ones are looked at "+
			"first, and however large the limit. A caller takes the smaller number as the end.",
		sweepFindsAll, concurrent, sweepFollows, "sweep-keeps-the-limit"),
}

// crowdTime bounds how long it takes to make many records or buckets.
const crowdTime = 5 * time.Second

// crowdSize returns how many records a crowd has: more than caps that stores may
// have, such as a thousand, or a hundred with go test -short. There are fewer if the store
// is so slow that inserting them takes longer than crowdTime.
func crowdSize() int64 {
	if testing.Short() {
		return 130
	}
	return 1100
}

// crowd inserts live records of a kind, by several callers at once, and returns
// them in the order of their IDs.
func (p *probe) crowd(s keys.Store, kind keys.Kind) []keys.Record {
	var next atomic.Int64
	size := crowdSize()
	records := make([]keys.Record, size)
	start := time.Now()
	p.parallel(racers, func(int) {
		for time.Since(start) < crowdTime {
			n := next.Add(1) - 1
			if n >= size {
				return
			}
			records[n] = p.sparse(kind, fmt.Sprintf("crowd %04d", n))
			p.insert(s, records[n])
		}
	})
	return records[:min(next.Load(), size)]
}

func listHasNoCap(p *probe, s keys.Store) {
	var ids []string
	for _, r := range p.crowd(s, keys.KindKey) {
		ids = append(ids, r.ID)
	}
	for _, limit := range []int{101, 257, 501, 1001, 1025, len(ids), 1 << 20} {
		q := p.query()
		q.Limit = limit
		for _, q.Live = range []bool{false, true} {
			p.ids(p.list(s, q), "List of "+quoteQuery(q), ids[:min(limit, len(ids))]...)
		}
	}
}

func sweepFindsAll(p *probe, s keys.Store) {
	alive := p.crowd(s, keys.KindToken)
	for _, name := range []string{" first of all", alive[len(alive)/2].ID + " in between", "~ last of all"} {
		r := p.full(keys.KindToken, name)
		r.ExpiresAt = expired
		p.insert(s, r)
		p.swept(s, now, 1, 1)
		p.absent(s, r.ID)
		p.swept(s, now, 5, 0)
	}
	p.parallel(racers, func(i int) {
		for ; i < len(alive); i += racers {
			r := alive[i]
			r.ExpiresAt = expired
			p.update(s, r)
		}
	})
	p.swept(s, now, math.MaxInt, len(alive))
	p.ids(p.list(s, keys.Query{Org: p.clause, Kind: keys.KindToken, Limit: 10}), "List after Sweep removed all")
}
