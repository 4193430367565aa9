package keyshttp_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyshttp"
)

// cost is what a request asks of the store.
type cost struct {
	caller, target   int // reads of the caller's record and of the key's
	other            int // reads of other records
	inserts, updates int
	lists, listed    int // lists, and the records that they return
}

// TestReads counts what each route asks of a store with 10,000 revoked keys, which
// must make no difference.
func TestReads(t *testing.T) {
	t.Parallel()
	requests := map[string][]struct {
		name, query, body string
		want              cost
	}{
		"POST /v1/keys": {
			{"", "", `{}`, cost{caller: 2, inserts: 1}},
		},
		"GET /v1/keys": {
			{"one", "?limit=1", "", cost{lists: 1, listed: 2}},
			{"some", "?limit=5", "", cost{lists: 1, listed: 6}},
			{"all", "?limit=200", "", cost{lists: 1, listed: 12}},
			{"by default", "", "", cost{lists: 1, listed: 12}},
			{"revoked ones too", "?include=revoked&limit=3", "", cost{lists: 1, listed: 4}},
		},
		"GET /v1/keys/{id}": {
			{"", "", "", cost{target: 1}},
		},
		"PATCH /v1/keys/{id}": {
			{"", "", `{"label":"x","scopes":[],"networks":[],"metadata":{},"rate_limit_per_minute":1,"disabled":true,"expires_in":9}`, cost{caller: 2, target: 1, updates: 1}},
			{"nothing", "", `{}`, cost{caller: 1, target: 1}},
		},
		"DELETE /v1/keys/{id}": {
			{"", "", "", cost{caller: 1, target: 1, updates: 1}},
			// Two passes over the live ones: to find them, and to find no more.
			{"descendants", "?descendants=true", "", cost{caller: 1, target: 2, updates: 1, lists: 4, listed: 12 + 11}},
		},
		"POST /v1/keys/{id}/rotate": {
			{"", "", `{}`, cost{caller: 2, target: 1, inserts: 1, updates: 1}},
			{"at once", "", `{"overlap":0}`, cost{caller: 2, target: 1, inserts: 1, updates: 1}},
		},
	}
	revoked := 10_000
	if testing.Short() {
		revoked = 500
	}
	h := newHostWith(t, keys.Options{MaxKeys: -1}, keyshttp.Options{})
	for i, id := range h.fill(t, revoked) {
		h.store.edit(id, func(r *keys.Record) {
			r.RevokedAt, r.CreatedBy = r.CreatedAt, fmt.Sprintf("vck_live_%05d", i-1)
		})
	}
	p := h.caller(t, keys.Spec{Scopes: all})
	for range 10 {
		h.issue(t, "acme", keys.Spec{})
	}
	live := h.store.records
	for _, pattern := range h.routes.patterns() {
		if len(requests[pattern]) == 0 {
			t.Errorf("%s is not counted", pattern)
		}
		for _, tt := range requests[pattern] {
			t.Run(pattern+" "+tt.name, func(t *testing.T) {
				h.store.records = make(map[string]keys.Record, len(live)+2)
				maps.Copy(h.store.records, live)
				target := h.issue(t, "acme", keys.Spec{}).Record.ID
				h.store.reset()
				method, path, _ := strings.Cut(pattern, " ")
				a := h.do(p, method, strings.Replace(path, "{id}", target, 1)+tt.query, tt.body)
				if a.Status > 299 {
					t.Fatalf("%d %s", a.Status, a.Body)
				}
				calls := h.store.calls
				got := cost{
					caller: calls["Get "+p.ID], target: calls["Get "+target], inserts: calls["Insert"], updates: calls["Update"],
					lists: calls["List"], listed: h.store.listed,
				}
				got.other = calls["Get"] - got.caller - got.target
				if got != tt.want {
					t.Errorf("%+v, want %+v", got, tt.want)
				}
				if h.store.live == strings.Contains(tt.query, "include") {
					t.Errorf("live ones alone: %t", h.store.live)
				}
			})
		}
	}
}

// TestCountsForTheCap counts what a cap adds to making a key: one walk over the
// live ones, if the store cannot count.
func TestCountsForTheCap(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, id := range h.fill(t, 500) {
		h.store.edit(id, func(r *keys.Record) { r.RevokedAt = r.CreatedAt })
	}
	p := h.caller(t, keys.Spec{Scopes: all})
	h.store.reset()
	h.made(t, p, `{}`)
	if h.store.calls["List"] != 1 || h.store.listed != 2 || !h.store.live {
		t.Errorf("%v, %d records listed", h.store.calls, h.store.listed)
	}
}
