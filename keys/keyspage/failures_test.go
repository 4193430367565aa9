package keyspage_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
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

// TestUnsettled changes keys while nobody knows whether other processes know of it.
// New secrets are shown all the same, since nobody could have them later.
func TestUnsettled(t *testing.T) {
	t.Parallel()
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
		p := h.post(anna, path+"/rotate", values)
		if p.status > 299 || p.secret(t) == "" || !strings.Contains(h.log.String(), "connection reset") {
			t.Errorf("%s: %d %s; log %s", path, p.status, p.text(), h.log)
		}
		h.log.Reset()
	}
	at := "/manage/clients/" + client.Record.ID
	values := h.get(anna, at+"/edit").fields()
	values.Set("label", "changed")
	p := h.post(anna, at+"/edit", values)
	p.wants(t, 503, "It is not known whether what you asked for was done.")
	s.err = nil
	h.post(anna, at+"/edit", p.fields()).leads(t, at) // it was
	s.err = errors.New("connection reset")
	p = h.post(anna, at+"/revoke", url.Values{"family": {""}})
	p.wants(t, 503)
	s.err = nil
	h.post(anna, at+"/revoke", p.fields()).leads(t, at)
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
