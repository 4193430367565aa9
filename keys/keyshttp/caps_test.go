package keyshttp_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyshttp"
)

// alive returns how many keys of acme are neither revoked nor expired.
func (h *host) alive(tb testing.TB) int {
	tb.Helper()
	n, err := h.manager.Count(tb.Context(), "acme", keys.KindKey, 1000)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// TestCaps fills an organization up. Then everything works except for making keys and
// rotating them. A rotation that ends the old key at once works too.
func TestCaps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const most = 3
		h := newHostWith(t, keys.Options{MaxKeys: most}, keyshttp.Options{})
		first := h.made(t, admin, `{"expires_in":60}`)
		h.made(t, admin, `{}`)
		paused := h.made(t, admin, `{}`)["key_id"].(string)
		if a := h.do(admin, "PATCH", "/v1/keys/"+paused, `{"disabled":true}`); a.Status != 200 { // counts
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		target := "/v1/keys/" + first["key_id"].(string)
		for _, tt := range []struct{ path, body string }{
			{"/v1/keys", ""}, {"/v1/keys", `{"expires_in":1}`}, {target + "/rotate", ""}, {target + "/rotate", `{"overlap":1}`},
		} {
			a := h.do(admin, "POST", tt.path, tt.body)
			a.wantError(t, 409, "limit_reached")
			if secretText.MatchString(a.Body) || h.alive(t) != most || !h.good(t, first) {
				t.Errorf("%s %s: %s; %d alive", tt.path, tt.body, a.Body, h.alive(t))
			}
		}
		if o := h.do(admin, "GET", target, "").object(t); o["replaced_by"] != nil || o["expires_at"] != first["expires_at"] {
			t.Errorf("a rotation that was taken back leaves %v", o)
		}
		if a := h.do(admin, "PATCH", target, `{"label":"x"}`); a.Status != 200 {
			t.Errorf("a change: %d %s", a.Status, a.Body)
		}
		if h.log.Len() > 0 {
			t.Errorf("logged: %s", h.log)
		}
		h.wantIssued(t, h.do(stranger, "POST", "/v1/keys", "")) // another organization
		next := h.wantIssued(t, h.do(admin, "POST", target+"/rotate", `{"overlap":0}`))
		if h.alive(t) != most {
			t.Errorf("%d alive after a rotation at once", h.alive(t))
		}
		time.Sleep(time.Minute) // on the test's own clock: the successor expires, and counts no more
		if h.good(t, next) {
			t.Error("the successor has not expired")
		}
		h.made(t, admin, "")
		h.do(admin, "POST", "/v1/keys", "").wantError(t, 409, "limit_reached")
		if a := h.do(admin, "DELETE", "/v1/keys/"+paused, ""); a.Status != 204 {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		h.made(t, admin, "")
		if _, err := h.manager.Create(t.Context(), "acme", keys.Spec{}); err != nil {
			t.Errorf("the host's own call: %v", err)
		}
	})
}

// TestNoCap makes a key where there is no cap.
func TestNoCap(t *testing.T) {
	t.Parallel()
	h := newHostWith(t, keys.Options{MaxKeys: -1}, keyshttp.Options{})
	h.made(t, admin, "")
	if h.store.calls["List"] != 0 {
		t.Errorf("%v", h.store.calls)
	}
}

// TestCapsInARace makes and rotates keys all at once: nobody ever gets one
// too many.
func TestCapsInARace(t *testing.T) {
	t.Parallel()
	const most = 10
	h := newHostWith(t, keys.Options{MaxKeys: most}, keyshttp.Options{})
	target := h.made(t, admin, "")["key_id"].(string)
	var wg sync.WaitGroup
	statuses := make(map[int]int)
	var mu sync.Mutex
	for i := range 40 {
		wg.Go(func() {
			path := "/v1/keys"
			if i%4 == 0 {
				path += "/" + target + "/rotate"
			}
			a := h.do(admin, "POST", path, "")
			mu.Lock()
			defer mu.Unlock()
			statuses[a.Status]++
			if a.Status != 201 && a.Status != 409 {
				t.Errorf("%d %s", a.Status, a.Body)
			}
		})
	}
	wg.Wait()
	if n := h.alive(t); n > most || n != statuses[201]+1 {
		t.Errorf("%d alive of %d, %v", n, most, statuses)
	}
}
