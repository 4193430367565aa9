package keyshttp_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/keys/keyshttp"
	"github.com/google/go-cmp/cmp"
)

// ids returns the IDs of a list and its cursor.
func (a answer) ids(tb testing.TB) (ids []string, next string) {
	tb.Helper()
	if a.Status != http.StatusOK {
		tb.Fatalf("status %d, want 200; body %s", a.Status, a.Body)
	}
	o := a.object(tb)
	list, ok := o["keys"].([]any)
	if !ok {
		tb.Fatalf("keys are no list: %s", a.Body)
	}
	for _, item := range list {
		ids = append(ids, item.(map[string]any)["key_id"].(string))
	}
	value, present := o["next_cursor"]
	if present && value == "" {
		tb.Error("next_cursor is empty")
	}
	next, _ = value.(string)
	return ids, next
}

// fill plants n keys of acme and returns their IDs in order.
func (h *host) fill(tb testing.TB, n int) []string {
	tb.Helper()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("vck_live_%05d", i)
		h.plant(tb, keys.KindKey, "acme", ids[i], "")
	}
	return ids
}

func TestListItems(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	if a := h.do(admin, "GET", "/v1/keys", ""); a.Body != `{"keys":[]}`+"\n" {
		t.Errorf("no keys: body %s", a.Body)
	}
	created := h.wantIssued(t, h.do(admin, "POST", "/v1/keys", `{"label":"x","scopes":["webhooks:manage"],"expires_in":60}`))
	h.issue(t, "evil", keys.Spec{})
	client := h.plant(t, keys.KindClient, "acme", "cc_0123456789abcdef", "")
	h.plant(t, keys.KindToken, "acme", "oauth_0123456789abcdef01234567", client.ID)

	a := h.do(admin, "GET", "/v1/keys", "")
	a.wantHeader(t, "Cache-Control", "no-store")
	delete(created, "key")
	if diff := cmp.Diff(map[string]any{"keys": []any{created}}, a.object(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	id := created["key_id"].(string)
	if diff := cmp.Diff(created, h.do(admin, "GET", "/v1/keys/"+id, "").object(t)); diff != "" {
		t.Errorf("Get (-want +got):\n%s", diff)
	}
	if got, want := h.do(admin, "HEAD", "/v1/keys", ""), a; got.Status != want.Status || !cmp.Equal(got.Header, want.Header) {
		t.Errorf("HEAD: %v, want %v", got, want)
	}

	h.do(admin, "DELETE", "/v1/keys/"+id, "")
	if ids, next := h.do(admin, "GET", "/v1/keys", "").ids(t); len(ids) > 0 || next != "" {
		t.Errorf("a revoked key is listed: %v %q", ids, next)
	}
	created["revoked_at"] = h.record(t, id).RevokedAt.Format("2006-01-02T15:04:05.000Z")
	a = h.do(admin, "GET", "/v1/keys?include=revoked", "")
	if diff := cmp.Diff(map[string]any{"keys": []any{created}}, a.object(t)); diff != "" {
		t.Errorf("include=revoked (-want +got):\n%s", diff)
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	zone := time.FixedZone("", 2*60*60)
	for id, at := range map[string]time.Time{
		"vck_live_0": time.Date(2026, 1, 1, 1, 0, 0, 0, zone),
		"vck_live_1": time.Date(2026, 1, 1, 1, 0, 0, 120e6, zone),
	} {
		h.plant(t, keys.KindKey, "acme", id, "")
		h.store.edit(id, func(r *keys.Record) { r.CreatedAt, r.ExpiresAt, r.RevokedAt = at, at, at })
	}
	for id, want := range map[string]string{
		"vck_live_0": "2025-12-31T23:00:00.000Z",
		"vck_live_1": "2025-12-31T23:00:00.120Z",
	} {
		o := h.do(admin, "GET", "/v1/keys/"+id, "").object(t)
		for _, name := range []string{"created_at", "expires_at", "revoked_at"} {
			if o[name] != want {
				t.Errorf("%s of %s is %v, want %s", name, id, o[name], want)
			}
		}
	}
}

func TestListPages(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		n       int
		revoked func(i int) bool
		query   string
		pages   []int
	}{
		{"none", 0, nil, "", []int{0}},
		{"the default exactly", 100, nil, "", []int{100}},
		{"one above the default", 101, nil, "", []int{100, 1}},
		{"limit 1", 3, nil, "limit=1", []int{1, 1, 1}},
		{"largest limit", 450, nil, "limit=200", []int{200, 200, 50}},
		{"largest limit exactly", 400, nil, "limit=200", []int{200, 200}},
		{"revoked ones between", 10, func(i int) bool { return i%2 == 1 }, "limit=2", []int{2, 2, 1}},
		{"revoked ones after", 10, func(i int) bool { return i >= 4 }, "limit=2", []int{2, 2}},
		{"many revoked ones before the last", 300, func(i int) bool { return i > 0 && i < 299 }, "limit=1", []int{1, 1}},
		{"all revoked", 250, func(int) bool { return true }, "", []int{0}},
		{"revoked ones included", 10, func(i int) bool { return i >= 4 }, "limit=4&include=revoked", []int{4, 4, 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			var want []string
			for i, id := range h.fill(t, tt.n) {
				if tt.revoked != nil && tt.revoked(i) {
					if err := h.manager.Revoke(t.Context(), "acme", keys.KindKey, id); err != nil {
						t.Fatal(err)
					}
					if !strings.Contains(tt.query, "include") {
						continue
					}
				}
				want = append(want, id)
			}
			var got []string
			query := tt.query
			for i, size := range tt.pages {
				ids, next := h.do(admin, "GET", "/v1/keys?"+query, "").ids(t)
				if last := i == len(tt.pages)-1; len(ids) != size || (next == "") != last {
					t.Fatalf("page %d has %d keys and the cursor %q, want %d keys and a cursor unless it is the last of %d", i, len(ids), next, size, len(tt.pages))
				}
				got = append(got, ids...)
				query = tt.query + "&cursor=" + next
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestListStates(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	var want []string
	for id, change := range map[string]func(*keys.Record){
		"vck_live_expired":  func(r *keys.Record) { r.ExpiresAt = r.CreatedAt },
		"vck_live_good":     func(*keys.Record) {},
		"vck_live_paused":   func(r *keys.Record) { r.DisabledAt = r.CreatedAt },
		"vck_live_replaced": func(r *keys.Record) { r.ReplacedBy = "vck_live_good" },
		"vck_live_revoked":  func(r *keys.Record) { r.RevokedAt = r.CreatedAt },
	} {
		h.plant(t, keys.KindKey, "acme", id, "")
		h.store.edit(id, change)
		want = append(want, id)
	}
	slices.Sort(want)
	for query, want := range map[string][]string{"": want[:4], "?include=revoked": want} {
		if ids, _ := h.do(admin, "GET", "/v1/keys"+query, "").ids(t); !slices.Equal(ids, want) {
			t.Errorf("%q lists %v, want %v", query, ids, want)
		}
	}
}

func TestListCursorOfAnotherOrganization(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.fill(t, 3)
	_, next := h.do(admin, "GET", "/v1/keys?limit=1", "").ids(t)
	if ids, _ := h.do(stranger, "GET", "/v1/keys?cursor="+next, "").ids(t); len(ids) > 0 {
		t.Errorf("a cursor opened another organization's list: %v", ids)
	}
}

// TestListParameters has one parameter of each kind, good and bad. What else is good or
// bad is for the tests of httpjson.ReadPage.
func TestListParameters(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.fill(t, 3)
	for query, status := range map[string]int{
		"limit=200&include=revoked&cursor=" + httpjson.Cursor("vck_live_00000"): 200,

		"limit=201":             422,
		"include=expired":       422,
		"cursor=vck_live_00000": 422,
		"limit=1&limit=1":       400,
		"color=red":             400,
		"limit=%zz":             400,
	} {
		a := h.do(admin, "GET", "/v1/keys?"+query, "")
		switch status {
		case 400:
			a.wantError(t, 400, "invalid_request")
		case 422:
			a.wantError(t, 422, "invalid_value")
		default:
			a.ids(t)
		}
	}
}

// leakyStore forgets the organization when it lists.
type leakyStore struct{ *mapStore }

func (s leakyStore) List(_ context.Context, q keys.Query) ([]keys.Record, error) {
	var all []keys.Record
	for _, r := range s.records {
		all = append(all, r)
	}
	return all[:min(len(all), q.Limit)], nil
}

func TestListOfALeakyStore(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		kind keys.Kind
		org  string
	}{
		{"other organization", keys.KindKey, "evil"},
		{"other kind", keys.KindClient, "acme"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			h.plant(t, tt.kind, tt.org, "vck_live_x", "")
			manager, err := keys.NewManager(leakyStore{h.store}, nil)
			if err != nil {
				t.Fatal(err)
			}
			h.manager = manager
			h.serve(t, keyshttp.Options{})
			a := h.do(admin, "GET", "/v1/keys", "")
			a.wantError(t, http.StatusServiceUnavailable, "temporarily_unavailable")
			if strings.Contains(a.Body, "vck_live_x") {
				t.Errorf("body %s shows the record", a.Body)
			}
		})
	}
}
