package keyspage_test

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyspage"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

// A fedStore is a store with a feed, which can fail to say how long others may go
// without asking.
type fedStore struct {
	*store.Memory
	keys.Feed
	err error
}

func (s *fedStore) LongestLease(context.Context) (time.Duration, error) { return 0, s.err }

// TestStoreFails lets each method of the store fail on each route.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	for _, m := range []storetest.Method{storetest.Get, storetest.List, storetest.Insert, storetest.Update} {
		hits := 0
		blank := newHost(t).routes("", "")
		for i := range blank {
			h := newHost(t)
			key, client := h.issue(keys.Spec{}), h.issue(keys.Spec{Kind: keys.KindClient})
			route := h.routes(key.Record.ID, client.Record.ID)[i]
			values := h.filled(anna, route[1])
			h.faults.Fail(m, storetest.Always, errors.New("dial db:5432: s3cret"))
			p := h.get(anna, route[1])
			if route[0] == "POST" {
				h.log.Reset()
				p = h.post(anna, route[1], values)
			}
			if p.status < 400 || p.status == 405 {
				continue // a page that does without the method
			}
			hits++
			p.wants(t, 503, "The service does not answer")
			if p.header.Get("Retry-After") != "1" || strings.Contains(p.body, "s3cret") || !strings.Contains(h.log.String(), "s3cret") {
				t.Errorf("%s: %v, %s", route, p.header, h.log)
			}
			if route[0] != "POST" {
				if !strings.Contains(p.body, `href="`+route[1]+`">Try again</a>`) {
					t.Errorf("%s: no way to try again: %s", route, p.body)
				}
				continue
			}
			// What was typed can be sent again, and is carried out then.
			again := p.fields()
			for name := range values {
				if name != "once" && !slices.Equal(again[name], values[name]) {
					t.Errorf("%s: %s is %q, was %q", route, name, again[name], values[name])
				}
			}
			h.faults.Heal()
			if p := h.post(anna, route[1], again); p.status > 399 && p.status != 409 {
				t.Errorf("%s again: %d %s", route, p.status, p.text())
			}
		}
		if hits == 0 {
			t.Errorf("no page fails with %v", m)
		}
	}
}

// TestUnsettled changes keys while the store cannot say how long it takes until all
// processes know of that. New secrets are shown all the same, after the longest time that
// it can take: they cannot be shown later.
func TestUnsettled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, testUnsettled)
}

func testUnsettled(t *testing.T) {
	h := newHost(t)
	s := &fedStore{Memory: h.store, err: errors.New("connection reset")}
	manager, err := keys.NewManager(s, &keys.Options{Format: format, Catalog: catalog})
	if err != nil {
		t.Fatal(err)
	}
	h.serve(manager, keyspage.Options{})
	key, client := h.issue(keys.Spec{}), h.issue(keys.Spec{Kind: keys.KindClient})
	for _, path := range []string{"/manage/keys/" + key.Record.ID, "/manage/clients/" + client.Record.ID} {
		values := h.get(anna, path+"/rotate").fields()
		values.Set("overlap", "0")
		begin := time.Now()
		p := h.post(anna, path+"/rotate", values)
		if took := time.Since(begin); p.status > 299 || p.secret(t) == "" || took != 6*time.Second {
			t.Errorf("%s: %d %s after %v", path, p.status, p.text(), took)
		}
	}
	at := "/manage/clients/" + client.Record.ID
	values := h.get(anna, at+"/edit").fields()
	values.Set("label", "changed")
	p := h.post(anna, at+"/edit", values)
	p.wants(t, 503, "It is not known whether your request was carried out.")
	s.err = nil
	h.post(anna, at+"/edit", p.fields()).leads(t, at) // it was
	s.err = errors.New("connection reset")
	p = h.post(anna, at+"/revoke", url.Values{"family": {""}})
	p.wants(t, 503)
	s.err = nil
	h.post(anna, at+"/revoke", p.fields()).leads(t, at)
}

// TestSuccessorAlone rotates a key while the old one cannot be shown beside the new one.
func TestSuccessorAlone(t *testing.T) {
	t.Parallel()
	var h *host
	h = newHostWith(t, keys.Options{Hook: func(_ context.Context, e keys.Event) {
		if e.Type == keys.Rotated {
			h.faults.Fail(storetest.Get, storetest.Always, errors.New("down"))
		}
	}}, keyspage.Options{})
	at := "/manage/keys/" + h.issue(keys.Spec{}).Record.ID + "/rotate"
	p := h.post(anna, at, h.get(anna, at).fields())
	if p.status != 201 || p.secret(t) == "" || !strings.Contains(h.log.String(), "down") {
		t.Errorf("%d %s; log %s", p.status, p.text(), h.log)
	}
}

// TestTakenBack makes a key whose maker loses a scope in that moment, while the
// store cannot take the key back. The host must know.
func TestTakenBack(t *testing.T) {
	t.Parallel()
	var h *host
	var maker keys.Principal
	narrow := func(ctx context.Context, e keys.Event) {
		if e.Type != keys.Created || maker.ID == "" || e.ID == maker.ID {
			return
		}
		rec := h.record(maker.ID)
		rec.Scopes = catalog.Always()
		if err := h.store.Update(ctx, rec); err != nil {
			t.Error(err)
		}
		h.faults.Fail(storetest.Update, storetest.Always, errors.New("down"))
	}
	h = newHostWith(t, keys.Options{Hook: narrow}, keyspage.Options{})
	p, err := h.manager.Verifier().Verify(t.Context(), h.issue(keys.Spec{Scopes: []string{"webhooks:manage"}}).Text.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	values := h.get(p, "/manage/new/keys").fields()
	values.Set("scopes", "webhooks:manage")
	maker = p
	got := h.post(p, "/manage/new/keys", values)
	if got.status != 403 || strings.Contains(got.body, "data-secret") || !strings.Contains(h.log.String(), "down") {
		t.Errorf("%d %s; log %s", got.status, got.text(), h.log)
	}
}

// TestTakenBackAndUnsettled rotates a key for somebody who is revoked in that moment. It
// is taken back, and nobody knows whether that is known everywhere: there is no secret
// to show.
func TestTakenBackAndUnsettled(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	s := &fedStore{Memory: h.store, err: errors.New("connection reset")}
	var caller keys.Principal
	manager, err := keys.NewManager(s, &keys.Options{Format: format, Catalog: catalog, Hook: func(ctx context.Context, e keys.Event) {
		if e.Type == keys.Rotated {
			rec := h.record(caller.ID)
			rec.RevokedAt = rec.CreatedAt
			if err := h.store.Update(ctx, rec); err != nil {
				t.Error(err)
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	h.serve(manager, keyspage.Options{})
	if caller, err = manager.Verifier().Verify(t.Context(), h.issue(keys.Spec{Scopes: []string{"keys:manage"}}).Text.Reveal()); err != nil {
		t.Fatal(err)
	}
	at := "/manage/keys/" + h.issue(keys.Spec{}).Record.ID + "/rotate"
	values := h.get(caller, at).fields()
	values.Set("overlap", "0")
	if p := h.post(caller, at, values); p.status < 400 || strings.Contains(p.body, "data-secret") {
		t.Errorf("%d %s", p.status, p.text())
	}
}

// TestMetadataOfTheHost changes a key whose metadata is no JSON object.
func TestMetadataOfTheHost(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	key := h.issue(keys.Spec{Metadata: "row 7"})
	at := "/manage/keys/" + key.Record.ID
	h.get(anna, at).wants(t, 200, "row 7")
	values := h.get(anna, at+"/edit").fields()
	if values.Has("metadata") {
		t.Error("the form has metadata")
	}
	values.Set("label", "changed")
	h.post(anna, at+"/edit", values).leads(t, at+"?done=changed")
	if rec := h.record(key.Record.ID); rec.Metadata != "row 7" || rec.Label != "changed" {
		t.Errorf("%+v", rec)
	}
}
