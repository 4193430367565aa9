package storetest

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

var crowdClauses = []clause[keys.Store]{
	rule("list-has-no-cap",
		"List returns as many records as the limit says, be it above a hundred or a thousand. A cap of the store's own makes "+
			"callers believe that there are no more.",
		listHasNoCap, concurrent, listLimit, ordered, live),
	rule("sweep-finds-all",
		"Sweep removes fewer tokens than the limit only if no more are dead, however many live ones are looked at "+
			"first, and however large the limit. A caller takes the smaller number as the end.",
		sweepFindsAll, concurrent, sweepFollows, "sweep-keeps-the-limit"),
}

// A crowd has more records than caps that stores may have, such as a thousand. It is
// smaller if the store is so slow that inserting it takes longer than crowdTime.
const (
	crowdSize = 1100
	crowdTime = 5 * time.Second
)

// crowd inserts live records of a kind, by several callers at once, and returns
// them in the order of their IDs.
func (p *probe) crowd(s keys.Store, kind keys.Kind) []keys.Record {
	var next atomic.Int64
	records := make([]keys.Record, crowdSize)
	start := time.Now()
	p.parallel(racers, func(int) {
		for time.Since(start) < crowdTime {
			n := next.Add(1) - 1
			if n >= crowdSize {
				return
			}
			records[n] = p.sparse(kind, fmt.Sprintf("crowd %04d", n))
			p.insert(s, records[n])
		}
	})
	return records[:min(next.Load(), crowdSize)]
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
	for _, name := range []string{" first of all", "crowd 0550 in between", "~ last of all"} {
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
