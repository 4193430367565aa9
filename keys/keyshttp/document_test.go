package keyshttp_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyshttp"
)

// plantFull plants a key with every field that answers show.
func (h *host) plantFull(tb testing.TB) keys.Record {
	tb.Helper()
	h.plant(tb, keys.KindKey, "acme", "vck_live_full", "")
	networks, err := keys.ParseNetworks("10.0.0.0/8 2001:db8::/32")
	if err != nil {
		tb.Fatal(err)
	}
	h.store.edit("vck_live_full", func(r *keys.Record) {
		r.Label, r.Environment, r.Networks, r.Metadata = "CI", "live", networks, `{"team":"a<b"}`
		r.CreatedBy, r.Replaces, r.ReplacedBy = "cc_1", "vck_live_0", "vck_live_2"
		r.ExpiresAt, r.RevokedAt, r.DisabledAt = r.CreatedAt.Add(3*time.Hour), r.CreatedAt.Add(2*time.Hour), r.CreatedAt.Add(time.Hour)
	})
	return h.record(tb, "vck_live_full")
}

// TestDocument compares the members of a key and their order, byte for byte.
func TestDocument(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.plantFull(t)
	h.plant(t, keys.KindKey, "acme", "vck_live_least", "")
	const full = `{"key_id":"vck_live_full","org":"acme","label":"CI","scopes":["identity:read"],"rate_limit_per_minute":100,` +
		`"created_at":"2026-01-01T00:00:00.000Z","expires_at":"2026-01-01T03:00:00.000Z","revoked_at":"2026-01-01T02:00:00.000Z",` +
		`"environment":"live","created_by":"cc_1","replaces":"vck_live_0","replaced_by":"vck_live_2","disabled_at":"2026-01-01T01:00:00.000Z",` +
		`"networks":["10.0.0.0/8","2001:db8::/32"]`
	const least = `{"key_id":"vck_live_least","org":"acme","label":"","scopes":["identity:read"],"rate_limit_per_minute":100,` +
		`"created_at":"2026-01-01T00:00:00.000Z","expires_at":null}`
	for target, want := range map[string]string{
		"/vck_live_full":   full + `,"metadata":{"team":"a\u003cb"}}` + "\n",
		"/vck_live_least":  least + "\n",
		"?include=revoked": `{"keys":[` + full + "}," + least + "]}\n",
	} {
		if got := h.do(admin, "GET", "/v1/keys"+target, "").Body; got != want {
			t.Errorf("%s:\n%s\nwant\n%s", target, got, want)
		}
	}
	if a := h.do(admin, "POST", "/v1/keys", `{"metadata":{"a":1}}`); !strings.HasPrefix(a.Body, `{"key":"vck_live_`) || !strings.HasSuffix(a.Body, `"metadata":{"a":1}}`+"\n") {
		t.Errorf("a new key: %s", a.Body)
	}
}

// TestMetadataOfTheHost reads keys whose metadata no handler has written.
func TestMetadataOfTheHost(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, text := range []string{"plain", `"text"`, "[1]", "7", "null", `{"a":`, `{"a":1}}`, "{}{}"} {
		h.plantFull(t)
		h.store.edit("vck_live_full", func(r *keys.Record) { r.Metadata = text })
		if a := h.do(admin, "GET", "/v1/keys/vck_live_full", ""); a.Status != 200 || a.object(t)["metadata"] != nil {
			t.Errorf("%s: %d %s", text, a.Status, a.Body)
		}
		delete(h.store.records, "vck_live_full")
	}
}

// A billing has the plans of organizations, until it fails.
type billing struct {
	perMinute int
	left      int // calls until it fails; negative for never
	failed    bool
}

func (b *billing) plan(context.Context, string) (int, error) {
	if b.left == 0 {
		b.failed = true
		return 0, errors.New("billing is down")
	}
	b.left--
	return b.perMinute, nil
}

// TestPlans looks at the limit that answers show: it is the one that is enforced.
func TestPlans(t *testing.T) {
	t.Parallel()
	b := &billing{perMinute: 300, left: -1}
	h := newHostWith(t, keys.Options{Plan: b.plan}, keyshttp.Options{})
	id := h.made(t, admin, "")["key_id"].(string)
	for _, perMinute := range []int{300, 200} {
		b.perMinute = perMinute
		if o := h.do(admin, "GET", "/v1/keys/"+id, "").object(t); o["rate_limit_per_minute"] != float64(perMinute) {
			t.Errorf("%v, want the limit %d", o, perMinute)
		}
	}
	if o := h.made(t, admin, `{"rate_limit_per_minute":250}`); o["rate_limit_per_minute"] != 200.0 {
		t.Errorf("%v, want the limit of the plan, which is lower", o)
	}
	b.perMinute = 2000
	if o := h.made(t, admin, ""); o["rate_limit_per_minute"] != float64(admin.RateLimit) {
		t.Errorf("%v, want the caller's limit, %d", o, admin.RateLimit)
	}
	b.left = 0
	h.do(admin, "GET", "/v1/keys", "").wantError(t, 503, "temporarily_unavailable")
	h.do(admin, "GET", "/v1/keys/"+id, "").wantError(t, 503, "temporarily_unavailable")
}

// TestPlansThatFail has the plan fail at each of its calls during a rotation:
// either the old key is good afterwards or the new one, which is shown then.
func TestPlansThatFail(t *testing.T) {
	t.Parallel()
	statuses := make(map[int]int)
	for left := range 10 {
		b := &billing{perMinute: 300, left: -1}
		h := newHostWith(t, keys.Options{Plan: b.plan}, keyshttp.Options{})
		old := h.issue(t, "acme", wide)
		b.left = left
		a := h.do(admin, "POST", "/v1/keys/"+old.Record.ID+"/rotate", `{"overlap":0}`)
		b.left = -1
		statuses[a.Status]++
		_, err := h.manager.Verifier().Verify(t.Context(), old.Text.Reveal())
		if good := a.Status == 201 && h.good(t, a.object(t)); good == (err == nil) {
			t.Errorf("failure at call %d: %d, the old key is good %t, the new one %t", left, a.Status, err == nil, good)
		}
		if b.failed != strings.Contains(h.log.String(), "billing is down") {
			t.Errorf("failure at call %d: log %q", left, h.log)
		}
		if a.Status == 201 && b.failed && a.object(t)["rate_limit_per_minute"] != 500.0 {
			t.Errorf("failure at call %d: %s, want the limit of the record", left, a.Body)
		}
	}
	if statuses[201] < 2 || statuses[503] < 2 {
		t.Errorf("%v", statuses)
	}
}

// TestPlansOfClientsThatHangUp ends the context of a request when all is done but
// the answer.
func TestPlansOfClientsThatHangUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(keys.NewContext(t.Context(), admin))
	defer cancel()
	calls := 0
	h := newHostWith(t, keys.Options{Plan: func(context.Context, string) (int, error) {
		if calls++; calls == 4 { // the one for the answer
			cancel()
			return 0, ctx.Err()
		}
		return 300, nil
	}}, keyshttp.Options{})
	h.send(httptest.NewRequestWithContext(ctx, "POST", "/v1/keys", nil))
	if calls != 4 || h.log.Len() > 0 {
		t.Errorf("%d calls, log %s", calls, h.log)
	}
}

// TestLifetimes asks for keys that live for a time: none lives longer than the
// lasting credential behind its maker.
func TestLifetimes(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * time.Hour
	for _, tt := range []struct {
		name     string
		caller   time.Duration // the caller's lifetime, 0 for none
		body     string
		lifetime time.Duration
	}{
		{"no end", 0, `{}`, 0},
		{"an end", 0, `{"expires_in":60}`, time.Minute},
		{"the latest end", 0, `{"expires_in":315360000}`, 10 * year},
		{"none, of a caller with an end", time.Hour, `{}`, time.Hour},
		{"one before the caller's", time.Hour, `{"expires_in":60}`, time.Minute},
		{"the caller's", time.Hour, `{"expires_in":3600}`, time.Hour},
		{"one behind the caller's", time.Hour, `{"expires_in":3601}`, time.Hour},
	} {
		for _, kind := range []string{"key", "token"} {
			t.Run(fmt.Sprintf("%s, %s", tt.name, kind), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					h := newHost(t)
					spec := keys.Spec{Scopes: all, Lifetime: tt.caller}
					p := map[string]func(testing.TB, keys.Spec) keys.Principal{"key": h.caller, "token": h.client}[kind](t, spec)
					want := any(nil)
					if tt.lifetime > 0 {
						want = time.Now().UTC().Add(tt.lifetime).Format("2006-01-02T15:04:05.000Z")
					}
					made := h.made(t, p, tt.body)
					if made["expires_at"] != want || made["created_by"] != p.LastingID() {
						t.Errorf("made by %v until %v, want %v", made["created_by"], made["expires_at"], want)
					}
					// A change and a rotation are bounded alike.
					target := "/v1/keys/" + h.issue(t, "acme", keys.Spec{}).Record.ID
					if a := h.do(p, "POST", target+"/rotate", tt.body); a.object(t)["expires_at"] != want {
						t.Errorf("a rotation: %s", a.Body)
					}
					target = "/v1/keys/" + h.issue(t, "acme", keys.Spec{}).Record.ID
					if tt.body == "{}" {
						want = nil // a change of nothing
					}
					if a := h.do(p, "PATCH", target, tt.body); a.object(t)["expires_at"] != want {
						t.Errorf("a change: %s", a.Body)
					}
				})
			})
		}
	}
}
