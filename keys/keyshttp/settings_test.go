package keyshttp_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/google/go-cmp/cmp"
)

// TestEnvironments makes keys for callers of each environment.
func TestEnvironments(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	live, test := h.caller(t, keys.Spec{Scopes: all}), h.caller(t, keys.Spec{Scopes: all, Environment: "test"})
	token := h.client(t, keys.Spec{Scopes: all, Environment: "test"})
	for _, tt := range []struct {
		name   string
		caller keys.Principal
		body   string
		want   string // empty for 422
	}{
		{"live makes live by default", live, `{}`, "live"},
		{"live makes live", live, `{"environment":"live"}`, "live"},
		{"live makes test", live, `{"environment":"test"}`, "test"},
		{"test makes test by default", test, `{}`, "test"},
		{"test makes test", test, `{"environment":"test"}`, "test"},
		{"test makes live", test, `{"environment":"live"}`, ""},
		{"a token of a test client makes test by default", token, `{}`, "test"},
		{"a token of a test client makes live", token, `{"environment":"live"}`, ""},
		{"a session makes live by default", admin, `{}`, "live"},
		{"a session makes test", admin, `{"environment":"test"}`, "test"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := h.do(tt.caller, "POST", "/v1/keys", tt.body)
			if tt.want == "" {
				a.wantError(t, 422, "invalid_value")
				return
			}
			if o := h.wantIssued(t, a); o["environment"] != tt.want || !strings.HasPrefix(o["key"].(string), "vck_"+tt.want+"_") {
				t.Errorf("%v, want one of %s", o, tt.want)
			}
		})
	}
}

// TestNetworks makes and changes keys for callers with and without networks.
func TestNetworks(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	lan, err := keys.ParseNetworks("10.0.0.0/8 2001:db8::/32")
	if err != nil {
		t.Fatal(err)
	}
	free, confined := h.caller(t, keys.Spec{Scopes: all}), h.caller(t, keys.Spec{Scopes: all, Networks: lan})
	own := []any{"10.0.0.0/8", "2001:db8::/32"}
	var hundred, more []string
	for i := range 101 {
		more = append(more, fmt.Sprintf(`"10.%d.0.1"`, i))
	}
	hundred = more[:100]
	for _, tt := range []struct {
		name     string
		caller   keys.Principal
		networks string // empty for none
		want     any
		status   int // 0 for a good one
	}{
		{"none", free, ``, nil, 0},
		{"an empty list", free, `[]`, nil, 0},
		{"none, of a confined caller", confined, ``, own, 0},
		{"an empty list of a confined caller", confined, `[]`, nil, 422},
		{"an address", free, `["192.0.2.1"]`, []any{"192.0.2.1/32"}, 0},
		{"in any order, twice, and with loose bits", free, `["2001:db8::/32","10.1.2.3/8","10.0.0.0/8"]`, own, 0},
		{"IPv4 as IPv6", free, `["::ffff:10.0.0.0/104"]`, []any{"10.0.0.0/8"}, 0},
		{"the caller's", confined, `["2001:db8::/32","10.0.0.0/8"]`, own, 0},
		{"a part of the caller's", confined, `["10.1.0.0/16"]`, []any{"10.1.0.0/16"}, 0},
		{"more than the caller's", confined, `["10.0.0.0/7"]`, nil, 422},
		{"one that is not the caller's", confined, `["10.0.0.0/8","192.0.2.1"]`, nil, 422},
		{"a hundred", free, "[" + strings.Join(hundred, ",") + "]", nil, 0},
		{"one more", free, "[" + strings.Join(more, ",") + "]", nil, 422},
		{"no network", free, `["everywhere"]`, nil, 422},
		{"a range", free, `["10.0.0.1-10.0.0.9"]`, nil, 422},
		{"empty text", free, `[""]`, nil, 422},
		{"a zone", free, `["fe80::1%eth0"]`, nil, 422},
		{"text", free, `"10.0.0.0/8"`, nil, 400},
		{"null", free, `null`, nil, 400},
		{"null inside", free, `[null]`, nil, 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body := `{"networks":` + tt.networks + `}`
			if tt.networks == "" {
				body = ""
			}
			created := h.do(tt.caller, "POST", "/v1/keys", body)
			id := h.issue(t, "acme", keys.Spec{Networks: lan}).Record.ID
			changed := h.do(tt.caller, "PATCH", "/v1/keys/"+id, body)
			for name, a := range map[string]answer{"create": created, "change": changed} {
				switch {
				case tt.status == 0 && a.Status > 299:
					t.Errorf("%s: %d %s", name, a.Status, a.Body)
				case tt.status != 0:
					a.wantError(t, tt.status, map[int]string{400: "invalid_request", 422: "invalid_value"}[tt.status])
					if strings.Contains(a.Body, "10.") || strings.Contains(a.Body, "everywhere") {
						t.Errorf("%s quotes the value: %s", name, a.Body)
					}
				}
			}
			if tt.status != 0 {
				if rec := h.record(t, id); rec.Networks != lan {
					t.Errorf("changed to %v", rec.Networks)
				}
				return
			}
			got := created.object(t)["networks"]
			if tt.name == "a hundred" {
				if len(got.([]any)) != 100 {
					t.Errorf("%v", got)
				}
				return
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("create (-want +got):\n%s", diff)
			}
			if tt.networks == "" {
				tt.want = own // what the key had
			}
			if diff := cmp.Diff(tt.want, changed.object(t)["networks"]); diff != "" {
				t.Errorf("change (-want +got):\n%s", diff)
			}
		})
	}
}

// TestMetadata makes and changes keys with metadata.
func TestMetadata(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	fill := func(n int) string { return `{"a":"` + strings.Repeat("x", n-8) + `"}` } // n bytes
	for _, tt := range []struct {
		name, text string
		stored     string // as it is kept
		status     int    // 0 for a good one
	}{
		{"an object", `{"team":"billing"}`, `{"team":"billing"}`, 0},
		{"spaces", " { \"a\" :\t[ 1 , {\"b\": null} ] ,\n\"c\": \"d e\" } ", `{"a":[1,{"b":null}],"c":"d e"}`, 0},
		{"an empty object", `{ }`, "", 0},
		{"4,096 bytes", fill(4096), fill(4096), 0},
		{"4,096 bytes without the spaces", strings.Replace(fill(4096), ":", ": ", 1), fill(4096), 0},
		{"4,097 bytes", fill(4097), "", 422},
		{"half a surrogate pair", `{"a":"\ud800"}`, "", 422},
		{"text", `"a"`, "", 400},
		{"a list", `[]`, "", 400},
		{"a number", `1`, "", 400},
		{"null", `null`, "", 400},
		{"no JSON", `{"a"}`, "", 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := h.issue(t, "acme", keys.Spec{Metadata: `{"old":1}`}).Record.ID
			for _, target := range []struct{ method, path string }{{"POST", "/v1/keys"}, {"PATCH", "/v1/keys/" + id}} {
				a := h.do(admin, target.method, target.path, `{"metadata":`+tt.text+`}`)
				if tt.status != 0 {
					a.wantError(t, tt.status, map[int]string{400: "invalid_request", 422: "invalid_value"}[tt.status])
					if rec := h.record(t, id); rec.Metadata != `{"old":1}` {
						t.Errorf("changed to %q", rec.Metadata)
					}
					continue
				}
				if a.Status > 299 {
					t.Fatalf("%d %s", a.Status, a.Body)
				}
				rec := h.record(t, a.object(t)["key_id"].(string))
				if rec.Metadata != tt.stored {
					t.Errorf("%s keeps %q, want %q", target.method, rec.Metadata, tt.stored)
				}
				if shown := strings.Contains(a.Body, `"metadata":`); shown != (tt.stored != "") {
					t.Errorf("%s answers %s", target.method, a.Body)
				}
				if tt.stored != "" && !strings.Contains(a.Body, `"metadata":`+tt.stored+"}\n") {
					t.Errorf("%s answers %s, want %s", target.method, a.Body, tt.stored)
				}
			}
		})
	}
	for _, target := range []string{"/v1/keys?limit=200", "/v1/keys?include=revoked"} {
		if a := h.do(admin, "GET", target, ""); a.Status != 200 || strings.Contains(a.Body, "metadata") || strings.Contains(a.Body, "billing") {
			t.Errorf("%s shows metadata", target)
		}
	}
}

// TestPause pauses a key, and lets it go on.
func TestPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		issued := h.issue(t, "acme", wide)
		target := "/v1/keys/" + issued.Record.ID
		check := func(want error) {
			t.Helper()
			if _, err := h.manager.Verifier().Verify(t.Context(), issued.Text.Reveal()); err != want {
				t.Errorf("%v, want %v", err, want)
			}
		}
		since := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
		for range 2 { // the second is no new pause
			if a := h.do(clerk, "PATCH", target, `{"disabled":true}`); a.Status != 200 || a.object(t)["disabled_at"] != since {
				t.Errorf("%d %s, want %s", a.Status, a.Body, since)
			}
			check(keys.ErrPaused)
			time.Sleep(time.Second) // on the test's own clock
		}
		h.do(admin, "POST", target+"/rotate", "").wantError(t, 409, "conflict")
		if a := h.do(admin, "PATCH", target, `{"label":"paused"}`); a.Status != 200 || a.object(t)["disabled_at"] != since {
			t.Errorf("a change ends the pause: %d %s", a.Status, a.Body)
		}
		slow := admin
		slow.RateLimit = 499
		confined := admin
		confined.Networks = elsewhere
		for name, p := range map[string]keys.Principal{"fewer scopes": clerk, "a lower limit": slow, "fewer networks": confined} {
			h.do(p, "PATCH", target, `{"disabled":false}`).wantError(t, 403, "insufficient_scope")
			if check(keys.ErrPaused); t.Failed() {
				t.Fatalf("a caller with %s", name)
			}
		}
		if a := h.do(admin, "PATCH", target, `{"disabled":false}`); a.Status != 200 || a.object(t)["disabled_at"] != nil {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		check(nil)
		h.do(admin, "PATCH", target, `{"disabled":null}`).wantError(t, 400, "invalid_request")
		h.do(admin, "PATCH", target, `{"disabled":"true"}`).wantError(t, 400, "invalid_request")
		h.do(admin, "PATCH", target, `{"disabled_at":null}`).wantError(t, 400, "invalid_request")
		if a := h.do(admin, "DELETE", target, ""); a.Status != 204 {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		h.do(admin, "PATCH", target, `{"disabled":false}`).wantError(t, 409, "conflict")
	})
}

// TestEnds moves the ends of keys.
func TestEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		for _, tt := range []struct {
			name   string
			change func(*keys.Record)
			body   string
			want   string // a time from now, or an error
		}{
			{"an end for a key without one", func(*keys.Record) {}, `{"expires_in":60}`, "1m0s"},
			{"a later end", func(r *keys.Record) { r.ExpiresAt = r.CreatedAt.Add(time.Second) }, `{"expires_in":60}`, "1m0s"},
			{"an earlier end", func(r *keys.Record) { r.ExpiresAt = r.CreatedAt.Add(time.Hour) }, `{"expires_in":60}`, "1m0s"},
			{"the latest end", func(*keys.Record) {}, `{"expires_in":315360000}`, "87600h0m0s"},
			{"no end", func(*keys.Record) {}, `{"expires_in":0}`, "422 invalid_value"},
			{"too late an end", func(*keys.Record) {}, `{"expires_in":315360001}`, "422 invalid_value"},
			{"null", func(*keys.Record) {}, `{"expires_in":null}`, "400 invalid_request"},
			{"of an expired key", func(r *keys.Record) { r.ExpiresAt = r.CreatedAt }, `{"expires_in":60}`, "409 conflict"},
			{"of a revoked key", func(r *keys.Record) { r.RevokedAt = r.CreatedAt }, `{"expires_in":60}`, "409 conflict"},
			{"of a replaced key", func(r *keys.Record) { r.ReplacedBy = "vck_live_x" }, `{"expires_in":60}`, "409 conflict"},
			{"of a paused key", func(r *keys.Record) { r.DisabledAt = r.CreatedAt }, `{"expires_in":60}`, "1m0s"},
		} {
			issued := h.issue(t, "acme", keys.Spec{})
			h.store.edit(issued.Record.ID, tt.change)
			before := h.record(t, issued.Record.ID)
			a := h.do(admin, "PATCH", "/v1/keys/"+issued.Record.ID, tt.body)
			rec := h.record(t, issued.Record.ID)
			got := time.Until(rec.ExpiresAt).String()
			if a.Status != 200 {
				got = fmt.Sprint(a.Status, " ", a.object(t)["error"])
				if rec != before {
					t.Errorf("%s: changed all the same", tt.name)
				}
			}
			if got != tt.want {
				t.Errorf("%s: %s, want %s; %s", tt.name, got, tt.want, a.Body)
			}
		}
		// What is no new end is let through.
		for name, change := range map[string]func(*keys.Record){
			"expired":  func(r *keys.Record) { r.ExpiresAt = r.CreatedAt },
			"replaced": func(r *keys.Record) { r.ReplacedBy = "vck_live_x" },
		} {
			issued := h.issue(t, "acme", keys.Spec{})
			h.store.edit(issued.Record.ID, change)
			if a := h.do(admin, "PATCH", "/v1/keys/"+issued.Record.ID, `{"label":"x"}`); a.Status != 200 {
				t.Errorf("the label of a key that is %s: %d %s", name, a.Status, a.Body)
			}
		}
	})
}
