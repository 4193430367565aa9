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

// serve serves the pages over a store whose faults a test can choose, to one user, and
// returns a tab on them, and what else the host serves.
func serve(t *testing.T, timeout time.Duration) (*storetest.Faults, *http.ServeMux, *tab) {
	t.Helper()
	faults := storetest.NewFaults(new(store.Memory))
	catalog := scopes.MustCatalog(scopes.Scope{Name: "orders:read", Description: "Read orders"})
	manager, err := keys.NewManager(faults, &keys.Options{Catalog: catalog, Timeout: timeout, Trail: true})
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
	return faults, mux, open(t, server.URL)
}

// TestStore uses the pages over a store that is slow, and over one that fails.
func TestStore(t *testing.T) {
	atFullLength(t)
	t.Parallel()
	faults, _, p := serve(t, 500*time.Millisecond)
	p.visit("/manage/new/keys")
	p.fill("label", "typed before")
	release := faults.Block(storetest.Insert) // a store that hangs is one that fails
	p.click("Create key", 503)
	release()
	p.has("h1", "The service does not answer")
	p.look("slow-store")
	p.click("Send it again", 201)
	p.has("main", "typed before")
	p.click("I have saved it", 200)

	faults.Fail(storetest.Update, storetest.Always, errors.New("down"))
	p.click("Pause", 503)
	p.has("main", "It is not known whether your request was carried out.")
	faults.Heal()
	p.click("Send it again", 200)
	p.has("main", "The key is paused.")

	faults.Fail(storetest.Entries, storetest.Always, errors.New("down"))
	p.click("Keys", 200)
	p.click("typed before", 200)
	p.has("h1", "typed before") // all but its history
	p.has(".kp-history", "The history cannot be read now.")
	p.look("history-down")
	release = faults.Block(storetest.Chains)
	p.load(200, chromedp.Reload())
	release()
	p.has(".kp-history", "The history cannot be read now.")
	faults.Heal()

	faults.Fail(storetest.List, storetest.Always, errors.New("down"))
	p.load(503, chromedp.Navigate(p.base+"/manage/keys"))
	p.look("store-down")
	faults.Heal()
	p.click("Try again", 200)
	p.has("caption", "1 key")
}

// TestTwoClicks clicks twice on the button that makes a key, while the store takes
// its time.
func TestTwoClicks(t *testing.T) {
	atLength(t)
	t.Parallel()
	faults, mux, p := serve(t, patience)
	clicked := make(chan bool)
	mux.HandleFunc("GET /clicked", func(http.ResponseWriter, *http.Request) { close(clicked) })
	p.visit("/manage/new/keys")
	release := faults.Block(storetest.Insert)
	// The page says that it has clicked by asking for a picture, which its policy allows.
	eval[bool](p, `{
		const button = document.querySelector(".kp-form button");
		button.click();
		setTimeout(() => { button.click(); new Image().src = "/clicked"; }, 500);
		true
	}`)
	<-clicked
	release()
	p.do(chromedp.WaitVisible("#secret"))
	p.visit("/manage/keys")
	p.has("caption", "1 key")
	if n := faults.Calls(storetest.Insert); n != 1 {
		t.Errorf("the form was sent %d times", n)
	}
}
