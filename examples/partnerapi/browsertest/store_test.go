package browsertest

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyspage"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

// TestStore uses the pages over a store that is slow, and over one that fails.
func TestStore(t *testing.T) {
	t.Parallel()
	faults := storetest.NewFaults(new(store.Memory))
	catalog := scopes.MustCatalog(scopes.Scope{Name: "orders:read", Description: "Read orders"})
	manager, err := keys.NewManager(faults, &keys.Options{Catalog: catalog, Timeout: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	handler, err := keyspage.NewHandler(manager, nil)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	handler.Register(mux, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user := keys.Principal{Org: "acme", ID: "anna", RateLimit: 600, Scopes: catalog.Grantable()}
			next.ServeHTTP(w, r.WithContext(keys.NewContext(r.Context(), user)))
		})
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p := open(t, server.URL)

	p.visit("/manage/new/keys")
	p.fill("label", "typed before")
	release := faults.Block(storetest.Insert) // a store that hangs is one that fails
	p.click("Create key", 503)
	release()
	p.has("h1", "The service does not answer")
	p.look("slow-store")
	p.click("Send it again", 201)
	p.has("main", "typed before")
	p.click("I have kept it", 200)

	faults.Fail(storetest.Update, storetest.Always, errors.New("down"))
	p.click("Pause", 503)
	p.has("main", "It is not known whether what you asked for was done.")
	faults.Heal()
	p.click("Send it again", 200)
	p.has("main", "The key is paused.")

	faults.Fail(storetest.List, storetest.Always, errors.New("down"))
	p.load(503, chromedp.Navigate(server.URL+"/manage/keys"))
	p.look("store-down")
	faults.Heal()
	p.load(200, chromedp.Reload())
	p.has("caption", "1 key")
}
