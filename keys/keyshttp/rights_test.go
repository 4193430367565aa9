package keyshttp_test

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyshttp"
	"github.com/google/go-cmp/cmp"
)

// A writing is a request that writes, and what it says to a caller who lacks what
// it takes.
type writing struct {
	name, query, body string
	scopes, value     string // the answers to a lack of scopes, and of another value
}

const (
	lacksScope = "403 insufficient_scope"
	lacksValue = "422 invalid_value"
	goesOn     = "" // the request takes nothing of the kind
)

// writings are the requests of all routes that write.
var writings = map[string][]writing{
	"POST /v1/keys": {
		{"", "", `{"scopes":["webhooks:manage"],"rate_limit_per_minute":400,"networks":["10.1.0.0/16"]}`, lacksScope, lacksValue},
	},
	"PATCH /v1/keys/{id}": {
		{"", "", `{"scopes":["keys:manage"],"rate_limit_per_minute":400,"networks":["10.1.0.0/16"],"label":"new","metadata":{"a":1},"expires_in":60}`, lacksScope, lacksValue},
		{"go on", "", `{"disabled":false}`, lacksScope, lacksScope},
	},
	"POST /v1/keys/{id}/rotate": {
		{"", "", `{}`, lacksScope, lacksScope},
		{"at once", "", `{"overlap":0}`, lacksScope, lacksScope},
	},
	"DELETE /v1/keys/{id}": {
		{"", "", "", goesOn, goesOn},
		{"descendants", "?descendants=true", "", lacksScope, goesOn},
	},
}

// blows are what can happen to a caller while a request runs.
var blows = []struct {
	name string
	do   func(h *host, p keys.Principal) error
	want func(w writing) string
}{
	{"revoked", func(h *host, p keys.Principal) error {
		return h.manager.Revoke(context.Background(), p.Org, "", p.LastingID())
	}, ended},
	{"paused", change(keys.Change{Disabled: new(true)}), ended},
	{"expired", func(*host, keys.Principal) error {
		time.Sleep(2 * time.Hour) // on the test's own clock
		return nil
	}, ended},
	{"narrowed", change(keys.Change{Scopes: new([]string{})}), func(w writing) string { return w.scopes }},
	{"slowed", change(keys.Change{RateLimit: new(1)}), func(w writing) string { return w.value }},
	{"confined", change(keys.Change{Networks: &elsewhere}), func(w writing) string { return w.value }},
}

func ended(writing) string { return "401 invalid_token" }

func change(c keys.Change) func(*host, keys.Principal) error {
	return func(h *host, p keys.Principal) error {
		_, err := h.manager.Change(context.Background(), p.Org, "", p.LastingID(), c)
		return err
	}
}

var elsewhere, _ = keys.NetworksOf(netip.MustParsePrefix("192.0.2.0/24"))

// secretText is what a secret looks like.
var secretText = regexp.MustCompile(`[0-9A-Za-z]{40}|"key":`)

// TestRightsCountAsTheyAre sends each request that writes while something happens
// to its caller: before the last byte of the body, and before each call of the
// store until the caller is looked at for the last time. What was done is taken
// back. What only ends something looks at its caller once, before.
func TestRightsCountAsTheyAre(t *testing.T) {
	t.Parallel()
	callers := []string{"key", "token"}
	if testing.Short() {
		callers = callers[:1]
	}
	patterns := newHost(t).routes.patterns()
	for _, pattern := range patterns {
		method, _, _ := strings.Cut(pattern, " ")
		if method == "GET" {
			continue
		}
		if len(writings[pattern]) == 0 {
			t.Errorf("%s is not tried", pattern)
		}
		for _, w := range writings[pattern] {
			for _, kind := range callers {
				for _, blow := range blows {
					t.Run(fmt.Sprintf("%s %s by a %s that is %s", pattern, w.name, kind, blow.name), func(t *testing.T) {
						t.Parallel()
						synctest.Test(t, func(t *testing.T) {
							// The first try finds out which calls there are.
							looks := tryRights(t, pattern, w, kind, -2, nil, "")
							if want := map[bool]int{true: 1, false: 2}[method == "DELETE"]; len(looks) != want || looks[0] != 0 {
								t.Fatalf("the calls %v are looks at the caller", looks)
							}
							do := func(h *host, p keys.Principal) {
								if err := blow.do(h, p); err != nil {
									t.Error(err)
								}
							}
							last := looks[len(looks)-1]
							for at := -1; at <= last; at++ {
								tryRights(t, pattern, w, kind, at, do, blow.want(w))
							}
							tryRights(t, pattern, w, kind, last+1, do, goesOn)
						})
					})
				}
			}
		}
	}
}

// tryRights sends a request, and calls do while it runs: before the call of the store
// with the number at. If at is -1, it calls do before the last byte of the body, or
// before the request if that has no body. It returns the numbers of the calls that read
// the caller's record.
func tryRights(t *testing.T, pattern string, w writing, kind string, at int, do func(*host, keys.Principal), want string) (looks []int) {
	t.Helper()
	h := newHostWith(t, keys.Options{Timeout: 24 * time.Hour}, keyshttp.Options{}) // longer than the caller has
	spec := keys.Spec{Scopes: all, RateLimit: 500, Lifetime: time.Hour}
	p := map[string]func(testing.TB, keys.Spec) keys.Principal{"key": h.caller, "token": h.client}[kind](t, spec)
	target := h.issue(t, "acme", wide).Record.ID
	h.issue(t, "acme", keys.Spec{Scopes: all, CreatedBy: target})
	if w.name == "go on" {
		if _, err := h.manager.Change(t.Context(), "acme", "", target, keys.Change{Disabled: new(true)}); err != nil {
			t.Fatal(err)
		}
	}
	before := maps.Clone(h.store.records)
	h.store.reset()
	calls := 0
	h.store.before = func(string) error {
		if calls++; calls-1 == at {
			at = -2 // what happens asks the store too
			do(h, p)
		}
		return nil
	}
	method, path, _ := strings.Cut(pattern, " ")
	path = strings.Replace(path, "{id}", target, 1) + w.query
	var a answer
	if at == -1 && w.body == "" {
		do(h, p)
	}
	if at == -1 && w.body != "" {
		a = h.holdBack(p, method, path, w.body, func() { do(h, p) })
	} else {
		a = h.do(p, method, path, w.body)
	}
	h.store.before = nil
	if want == goesOn {
		if a.Status < 200 || a.Status > 299 {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		for i, call := range h.store.order {
			if call == "Get "+p.ID {
				looks = append(looks, i)
			}
		}
		return looks
	}
	if got := fmt.Sprint(a.Status, " ", a.object(t)["error"]); got != want || secretText.MatchString(a.Body) {
		t.Errorf("%s, want %s: %s", got, want, a.Body)
	}
	if a.Status == 401 {
		a.wantHeader(t, "WWW-Authenticate", `Bearer realm="api", error="invalid_token"`)
	}
	a.wantHeader(t, "Location")
	if h.log.Len() > 0 {
		t.Errorf("the caller's lack was logged: %s", h.log)
	}
	h.unchanged(t, before, p)
	return nil
}

// unchanged fails unless all records are as they were, but for their versions and
// for those of p, and new ones are revoked.
func (h *host) unchanged(tb testing.TB, before map[string]keys.Record, p keys.Principal) {
	tb.Helper()
	for id, rec := range h.store.records {
		old, was := before[id]
		rec.Version = old.Version
		switch {
		case !was && !rec.Revoked():
			tb.Errorf("%s was made, and is alive", id)
		case was && id != p.LastingID() && rec != old:
			tb.Errorf("%s is another than before:\n%s", id, cmp.Diff(old, rec, cmp.Comparer(func(a, b keys.Record) bool { return a == b })))
		}
	}
}

// TestSessionsAreTakenAsTheyAre counts the looks at a caller that has no record.
func TestSessionsAreTakenAsTheyAre(t *testing.T) {
	t.Parallel()
	for pattern, list := range writings {
		for _, w := range list {
			h := newHost(t)
			target := h.issue(t, "acme", wide).Record.ID
			method, path, _ := strings.Cut(pattern, " ")
			a := h.do(admin, method, strings.Replace(path, "{id}", target, 1)+w.query, w.body)
			if a.Status > 299 || h.store.calls["Get "+admin.ID] != 0 {
				t.Errorf("%s %s: %d %s, %d looks at the session", pattern, w.name, a.Status, a.Body, h.store.calls["Get "+admin.ID])
			}
		}
	}
}
