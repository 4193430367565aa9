package keyshttp_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/google/go-cmp/cmp"
)

// TestWhatIsMadeEndsWithItsMaker has a test key that is good for six seconds make
// whatever it can: nothing of it is good later, or elsewhere.
func TestWhatIsMadeEndsWithItsMaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		maker := h.made(t, admin, `{"environment":"test","expires_in":6,"scopes":["keys:manage"]}`)
		p := h.principal(t, keys.Issued{Text: keys.NewSecret(maker["key"].(string))})
		h.do(p, "POST", "/v1/keys", `{"environment":"live"}`).wantError(t, 422, "invalid_value")
		time.Sleep(time.Second) // on the test's own clock
		made := []map[string]any{h.made(t, p, ""), h.made(t, p, `{"expires_in":3600}`)}
		made = append(made, h.made(t, h.principal(t, keys.Issued{Text: keys.NewSecret(made[0]["key"].(string))}), ""))
		for _, target := range []string{p.ID, made[1]["key_id"].(string)} {
			a := h.do(p, "POST", "/v1/keys/"+target+"/rotate", `{"expires_in":3600,"overlap":3600}`)
			made = append(made, h.wantIssued(t, a))
		}
		if a := h.do(p, "PATCH", "/v1/keys/"+p.ID, `{"expires_in":3600}`); a.Status != 409 { // it has a successor
			t.Errorf("%d %s", a.Status, a.Body)
		}
		for _, o := range made {
			if o["expires_at"] != maker["expires_at"] || o["environment"] != "test" || !h.good(t, o) {
				t.Errorf("%v, of a maker until %v", o, maker["expires_at"])
			}
			if by := o["created_by"]; by != p.ID && by != made[0]["key_id"] {
				t.Errorf("made by %v", by)
			}
		}
		time.Sleep(5 * time.Second) // on the test's own clock
		for _, o := range append(made, maker) {
			if h.good(t, o) {
				t.Errorf("%s outlives its maker", o["key_id"])
			}
		}
	})
}

// TestNobodyExtendsItself has a key try for a later end.
func TestNobodyExtendsItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		p := h.caller(t, keys.Spec{Scopes: all, Lifetime: time.Hour})
		end := p.ExpiresAt.Format("2006-01-02T15:04:05.000Z")
		time.Sleep(time.Minute) // on the test's own clock
		for _, body := range []string{`{"expires_in":3600}`, `{"expires_in":315360000}`} {
			if a := h.do(p, "PATCH", "/v1/keys/"+p.ID, body); a.object(t)["expires_at"] != end {
				t.Errorf("PATCH %s: %s, want the end %s", body, a.Body, end)
			}
			a := h.do(p, "POST", "/v1/keys/"+p.ID+"/rotate", body)
			if a.object(t)["expires_at"] != end {
				t.Fatalf("rotate %s: %s, want the end %s", body, a.Body, end)
			}
			p = h.principal(t, keys.Issued{Text: keys.NewSecret(a.object(t)["key"].(string))})
		}
	})
}

// TestNarrowedWhileTheBodyIsHeldBack takes a caller's rights away, by a request of
// an admin, before the last byte of the caller's body.
func TestNarrowedWhileTheBodyIsHeldBack(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"scopes":["webhooks:manage"]}`, `{"scopes":["keys:manage"],"rate_limit_per_minute":1}`} {
		h := newHost(t)
		p := h.caller(t, keys.Spec{Scopes: all})
		a := h.holdBack(p, "POST", "/v1/keys", body, func() {
			if a := h.do(admin, "PATCH", "/v1/keys/"+p.ID, `{"scopes":[],"rate_limit_per_minute":1}`); a.Status != 200 {
				t.Errorf("%d %s", a.Status, a.Body)
			}
		})
		a.wantError(t, 403, "insufficient_scope")
		if h.count() != 1 {
			t.Errorf("%s: a key was made", body)
		}
	}
	// What it may still make has what it has now.
	h := newHost(t)
	p := h.caller(t, keys.Spec{Scopes: all})
	lan, err := keys.ParseNetworks("10.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	a := h.holdBack(p, "POST", "/v1/keys", `{"networks":[]}`, func() {
		_, err := h.manager.Change(t.Context(), "acme", keys.KindKey, p.ID, keys.Change{RateLimit: new(3), Networks: &lan})
		if err != nil {
			t.Error(err)
		}
	})
	if o := a.object(t); a.Status != 201 || o["rate_limit_per_minute"] != 3.0 || !cmp.Equal(o["networks"], []any{"10.0.0.0/8"}) {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

// TestShortenedMeanwhile brings the caller's end forward when the request is about
// to write: what is made must not outlive the caller.
func TestShortenedMeanwhile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, method, suffix, body string
		want                       string
	}{
		{"create", "POST", "", "", "422 invalid_value"},
		{"rotate", "POST", "/{id}/rotate", "", "403 insufficient_scope"},
		{"change", "PATCH", "/{id}", `{"expires_in":3600}`, "422 invalid_value"},
		{"change of something else", "PATCH", "/{id}", `{"label":"x"}`, "200 <nil>"},
	} {
		h := newHost(t)
		p := h.caller(t, keys.Spec{Scopes: all, Lifetime: 2 * time.Hour})
		target := h.issue(t, "acme", keys.Spec{}).Record.ID
		before := maps.Clone(h.store.records)
		h.store.before = func(method string) error {
			if method == "Insert" || method == "Update" {
				h.store.before = nil
				h.store.edit(p.ID, func(r *keys.Record) { r.ExpiresAt = r.CreatedAt.Add(time.Hour / 2) })
			}
			return nil
		}
		a := h.do(p, tt.method, "/v1/keys"+strings.Replace(tt.suffix, "{id}", target, 1), tt.body)
		if got := fmt.Sprint(a.Status, " ", a.object(t)["error"]); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if a.Status != 200 {
			h.unchanged(t, before, p)
		}
	}
}

// TestStretchedRotation keeps a rotation busy by changes to the key, and revokes
// the caller meanwhile.
func TestStretchedRotation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		p := h.caller(t, keys.Spec{Scopes: all})
		target := h.issue(t, "acme", keys.Spec{}).Record.ID
		tries := 0
		h.store.before = func(method string) error {
			if method != "Update" || tries > 20 {
				return nil
			}
			if tries++; tries == 10 {
				h.store.edit(p.ID, func(r *keys.Record) { r.RevokedAt = r.CreatedAt })
			}
			if tries < 20 {
				h.store.edit(target, func(r *keys.Record) { r.Label += "x" })
			}
			return nil
		}
		h.do(p, "POST", "/v1/keys/"+target+"/rotate", "").wantError(t, 401, "invalid_token")
		h.store.before = nil
		if tries < 20 {
			t.Errorf("%d tries", tries)
		}
		for id, rec := range h.store.records {
			if id != target && !rec.Revoked() || id == target && (rec.Revoked() || rec.ReplacedBy != "" || !rec.ExpiresAt.IsZero()) {
				t.Errorf("%s: %+v", id, rec)
			}
		}
	})
}

// A family of keys and a client: each was made by the one whose name is shorter
// by a letter.
func family(t *testing.T, h *host) map[string]string {
	t.Helper()
	ids := make(map[string]string)
	make := func(name string, spec keys.Spec) {
		if len(name) > 1 {
			spec.CreatedBy = ids[name[:len(name)-1]]
		}
		ids[name] = h.issue(t, "acme", spec).Record.ID
	}
	for _, name := range []string{"a", "b", "aa", "ab", "aaa", "aaaa", "ba"} {
		make(name, keys.Spec{Scopes: []string{"keys:manage"}})
	}
	make("ac", keys.Spec{Kind: keys.KindClient, Scopes: []string{"keys:manage"}})
	make("acc", keys.Spec{Scopes: []string{"webhooks:manage"}})
	if err := h.manager.Revoke(t.Context(), "acme", keys.KindKey, ids["aaa"]); err != nil {
		t.Fatal(err)
	}
	return ids
}

// live returns the names of those in a family that are not revoked.
func live(t *testing.T, h *host, ids map[string]string) (names []string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(ids)) {
		if rec := h.record(t, ids[name]); !rec.Revoked() {
			names = append(names, name)
		}
	}
	return names
}

func TestDescendants(t *testing.T) {
	t.Parallel()
	everybody := []string{"a", "aa", "aaaa", "ab", "ac", "acc", "b", "ba"}
	for _, tt := range []struct {
		name, root, query string
		caller            keys.Principal
		status            int
		live              []string
	}{
		{"the key alone", "a", "", clerk, 204, []string{"aa", "aaaa", "ab", "ac", "acc", "b", "ba"}},
		{"the key alone, said so", "a", "?descendants=false", clerk, 204, []string{"aa", "aaaa", "ab", "ac", "acc", "b", "ba"}},
		{"all that it made", "a", "?descendants=true", admin, 204, []string{"b", "ba"}},
		{"a branch", "aa", "?descendants=true", clerk, 204, []string{"a", "ab", "ac", "acc", "b", "ba"}},
		{"a key that is revoked", "aaa", "?descendants=true", clerk, 204, []string{"a", "aa", "ab", "ac", "acc", "b", "ba"}},
		{"a key that made nothing", "ab", "?descendants=true", clerk, 204, []string{"a", "aa", "aaaa", "ac", "acc", "b", "ba"}},
		{"with less than one of them has", "a", "?descendants=true", clerk, 403, everybody},
		{"of another organization", "a", "?descendants=true", stranger, 404, everybody},
		{"a client", "ac", "?descendants=true", admin, 404, everybody},
		{"another word", "a", "?descendants=yes", admin, 422, everybody},
		{"in capitals", "a", "?descendants=True", admin, 422, everybody},
		{"twice", "a", "?descendants=true&descendants=true", admin, 400, everybody},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			ids := family(t, h)
			for range 2 { // ends are ends
				a := h.do(tt.caller, "DELETE", "/v1/keys/"+ids[tt.root]+tt.query, "")
				if a.Status != tt.status {
					t.Errorf("%d %s, want %d", a.Status, a.Body, tt.status)
				}
				if diff := cmp.Diff(tt.live, live(t, h, ids)); diff != "" {
					t.Errorf("alive (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestDescendantsOfALeakedKey rotates a leaked key before it is ended: the admin's
// successor goes on, and the one that the key made for itself does not.
func TestDescendantsOfALeakedKey(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	leaked := h.caller(t, keys.Spec{Scopes: all})
	target := "/v1/keys/" + leaked.ID
	own := h.wantIssued(t, h.do(leaked, "POST", target+"/rotate", ""))
	admins := h.wantIssued(t, h.do(admin, "POST", target+"/rotate", ""))
	if own["created_by"] != leaked.ID || admins["created_by"] != "host:"+admin.ID || own["replaces"] != leaked.ID || admins["replaces"] != leaked.ID {
		t.Errorf("%v, %v", own, admins)
	}
	if a := h.do(admin, "DELETE", target+"?descendants=true", ""); a.Status != 204 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if h.good(t, own) || !h.good(t, admins) {
		t.Errorf("the key's own successor is good %t, the admin's %t", h.good(t, own), h.good(t, admins))
	}
}

// TestDescendantsMadeMeanwhile makes a key below the root while its family is
// ended.
func TestDescendantsMadeMeanwhile(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	ids := family(t, h)
	rounds := 0
	h.store.after = func(method string) {
		if method == "Update" && rounds < 3 {
			rounds++
			name := fmt.Sprint("meanwhile ", rounds)
			ids[name] = h.issue(t, "acme", keys.Spec{CreatedBy: ids["ab"]}).Record.ID
		}
	}
	if a := h.do(admin, "DELETE", "/v1/keys/"+ids["a"]+"?descendants=true", ""); a.Status != 204 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if got := live(t, h, ids); rounds != 3 || strings.Join(got, " ") != "b ba" {
		t.Errorf("%d rounds, %v are alive", rounds, got)
	}
}
