package oauth_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/storetest"
)

// TestWhatCouldNotBeTakenBack makes a client whose maker is revoked in that moment,
// and fails to take it back: the caller hears what it did wrong, and the host of the
// rest. A host is not told of a client that is taken back.
func TestWhatCouldNotBeTakenBack(t *testing.T) {
	t.Parallel()
	for _, down := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			e := newEnv(t, nil)
			maker, err := e.manager.Create(t.Context(), "acme", keys.Spec{})
			if err != nil {
				t.Fatal(err)
			}
			p, err := e.manager.Verifier().VerifyAt(t.Context(), maker.Text.Reveal(), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			release := e.faults.Block(storetest.Insert)
			answers := make(chan answer)
			go func() { answers <- e.manage(p, "POST", clientsPath, "") }()
			synctest.Wait() // until the client is about to be made
			if err := e.manager.Revoke(t.Context(), "acme", keys.KindKey, maker.Record.ID); err != nil {
				t.Fatal(err)
			}
			if down {
				e.faults.Fail(storetest.Update, storetest.Always, errors.New("no route to host"))
			}
			release()
			if a := <-answers; a.status != 401 {
				t.Errorf("%d %s", a.status, a.text)
			}
			if told := strings.Contains(e.log.String(), "managing clients failed"); told != down {
				t.Errorf("the store is down: %v; log %s", down, e.log)
			}
		})
	}
}

// TestHeldBackBody sends requests whose bodies end only after their caller's key
// was revoked.
func TestHeldBackBody(t *testing.T) {
	t.Parallel()
	for name, suffix := range map[string]string{"create": "", "rotate": "/{id}/rotate"} {
		env := newEnv(t, nil)
		id, _ := env.register()
		key, err := env.manager.Create(t.Context(), "acme", keys.Spec{Scopes: []string{"webhooks:manage"}})
		if err != nil {
			t.Fatal(err)
		}
		by := keys.Principal{Org: "acme", ID: key.Record.ID, Kind: keys.KindKey, Scopes: key.Record.Scopes, RateLimit: 600}
		r := post(clientsPath+strings.Replace(suffix, "{id}", id, 1), jsonType, "")
		r.Body, r.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader("{"), readerFunc(func() {
			if err := env.manager.Revoke(t.Context(), "acme", "", key.Record.ID); err != nil {
				t.Error(err)
			}
		}), strings.NewReader("}"))), -1
		if got := env.serve(r.WithContext(keys.NewContext(r.Context(), by))); got.status != 401 || got.body["error"] != "invalid_token" || got.body["clientSecret"] != nil {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
		n := 0
		for rec, err := range env.server.Clients(t.Context(), "acme", "", 0) {
			if n++; err != nil || rec.Version != 1 {
				t.Errorf("%s: %v, %v", name, rec, err)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d clients", name, n)
		}
	}
}

// readerFunc is a reader of nothing that does something first.
type readerFunc func()

func (f readerFunc) Read([]byte) (int, error) { f(); return 0, io.EOF }
