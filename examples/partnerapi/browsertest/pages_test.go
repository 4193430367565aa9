package browsertest

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// secret returns the secret that a page shows.
func (p *tab) secret() string {
	p.t.Helper()
	text := p.text("#secret")
	if len(text) < 60 {
		p.t.Fatalf("the secret is %q\n%s", text, p.source())
	}
	return text
}

// TestKeys does to a key all that can be done, and looks at each page.
func TestKeys(t *testing.T) {
	atLength(t)
	t.Parallel()
	h := start(t)
	p := open(t, h.URL)
	p.visit("/manage/keys?order=name")
	if got := p.path(); got != "/manage/sign-in?next=%2Fmanage%2Fkeys%3Forder%3Dname" {
		t.Errorf("at %s", got)
	}
	p.look("sign-in")
	p.fill("key", "vck_live_5TqM00000000000000000.none")
	p.click("Sign in", 401)
	p.has("form", "This key is not good")
	p.look("sign-in-refused")
	p.fill("key", h.Key)
	p.click("Sign in", 200)
	if got := p.path(); got != "/manage/keys?order=name" {
		t.Errorf("at %s", got)
	}
	p.has(".kp-list", "bootstrap", "Active", "just now")

	// A form that is not good, and then is.
	p.click("New key", 200)
	p.look("new")
	p.fill("label", "Nightly export")
	p.do(chromedp.Click("#scope-2"), chromedp.Click("summary"))
	p.fill("networks", "everywhere")
	p.fill("metadata", `{"team": "billing"}`)
	p.click("Create key", 422)
	p.has("[role=alert]", "This was not done", "one network or address on each line")
	if eval[string](p, `document.activeElement.getAttribute("role")`) != "alert" {
		t.Error("the focus is not on what is wrong")
	}
	p.look("new-refused")
	p.fill("networks", "127.0.0.0/8")
	p.choose("expires", "date")
	p.do(chromedp.SetValue("#until", "2030-12-31"))
	p.click("Create key", 201)
	p.has("main", "Nightly export", "It is not shown again", "31 Dec 2030")
	p.look("issued")
	key := p.secret()
	if h.me(t, key) != 200 {
		t.Error("the key is no good")
	}
	// The clipboard cannot be read here; that the button says so means that it was written.
	p.do(chromedp.Click("[data-copy=secret]"))
	p.do(chromedp.WaitVisible(`//button[.="Copied"]`))
	if got := p.path(); got != "/manage/new/keys" {
		t.Errorf("at %s", got)
	}

	// To load the answer anew makes no second key, and shows none.
	p.load(409, chromedp.Reload())
	p.has("main", "This form was sent before")
	p.look("sent-before")
	p.click("Back", 200)
	p.has("caption", "2 keys")
	p.click("Nightly export", 200)
	p.has("main", "webhooks:manage", "Manage webhook subscriptions", "127.0.0.0/8", `"team": "billing"`, "just now", "600 requests a minute")
	p.look("one")

	p.click("Edit", 200)
	p.look("edit")
	p.fill("label", "Export, every night")
	p.click("Save", 200)
	p.has("main", "The key was changed.", "Export, every night")
	p.click("Pause", 200)
	p.has("main", "The key is paused.", "Paused")
	p.look("paused")
	if h.me(t, key) != 401 {
		t.Error("a paused key works")
	}
	p.click("Resume", 200)
	p.has("main", "The key works again.", "Active")

	p.click("Rotate key", 200)
	p.look("rotate")
	p.choose("overlap", "7d")
	p.click("Rotate key", 201)
	p.look("rotated")
	next := p.secret()
	if h.me(t, key) != 200 || h.me(t, next) != 200 {
		t.Error("one of the keys does not work during the overlap")
	}
	p.click("I have saved it", 200)
	p.has(".kp-rotation", "Before", "This key", "A key was used after it had been replaced.", "in 7 days")
	p.look("rotation")
	p.has(".kp-history", "Made", "in the place of Export, every night", "bootstrap", "127.0.0.1")
	successor := p.path()
	p.load(200, chromedp.Click(".kp-rotation a"))
	for _, row := range []string{"Rotated: End\nReplaced by Export, every night", "Resumed", "Paused", "Changed: Name", "Made"} {
		p.has(".kp-history", row)
	}
	// Refusals are written once a minute, so that of the paused key may be there or not.
	if rows := eval[int](p, `[...document.querySelectorAll(".kp-history tbody tr")].filter(row => !row.innerText.includes("It was paused.")).length`); rows != 5 {
		p.t.Errorf("the history has %d entries, want 5", rows)
	}
	p.look("history")
	p.visit(successor)

	p.click("Revoke", 200)
	p.has("main", "This cannot be undone", "Nothing that it has made still works.")
	p.click("Revoke key", 200)
	p.has("main", "Revoked")
	p.look("revoked")
	if h.me(t, next) != 401 || h.me(t, key) != 200 {
		t.Error("another key than the one that was revoked works")
	}

	p.click("Sign out", 200)
	p.has("h1", "Sign in")
	p.do(chromedp.NavigateBack())
	if strings.Contains(p.source(), "Export") {
		t.Errorf("after signing out: %s", p.source())
	}
	p.visit("/manage/keys")
	p.has("h1", "Sign in")
}

// TestClients does the same to a client.
func TestClients(t *testing.T) {
	atLength(t)
	t.Parallel()
	h := start(t)
	p := h.signIn(t, h.Key)
	p.click("Clients", 200)
	p.look("no-clients")
	p.click("New client", 200)
	p.fill("label", "Warehouse")
	p.do(chromedp.Click("#scope-1"))
	p.click("Create client", 201)
	p.look("issued-client")
	id, secret := p.text("#id"), p.secret()
	token := h.token(t, id, secret)
	if h.me(t, token) != 200 {
		t.Error("the token is no good")
	}
	h.create(t, token, `{"label":"made by the client"}`)
	p.click("I have saved it", 200)
	p.look("client")
	p.click("New secret", 200)
	p.click("New secret", 200)
	p.has("main", "Old secret", "in 24 hours")
	if second := p.secret(); second == secret || h.token(t, id, second) == "" || h.token(t, id, secret) == "" {
		t.Error("one of the secrets does not work during the overlap")
	}
	p.click("I have saved it", 200)
	p.click("Clients", 200)
	p.has("caption", "1 client")
	p.look("clients")
	p.click("Warehouse", 200)
	p.click("Delete", 200)
	p.has("main", "3 of the client "+id, "made by the client", "One other ends too.")
	p.look("delete")
	p.do(chromedp.Click("#family"))
	p.click("Delete client", 200)
	p.has("main", "Deleted")
	p.has(".kp-history", "Deleted", "Rotated", "Made")
	if h.me(t, token) != 401 {
		t.Error("the token works")
	}
	p.click("Keys", 200)
	p.has("caption", "1 key")
}

// TestList fills the list with keys in all states, and searches and orders it.
func TestList(t *testing.T) {
	atLength(t)
	t.Parallel()
	h := start(t)
	anna, _ := h.create(t, h.Key, `{"label":"Anna’s laptop","scopes":["keys:manage","webhooks:manage"]}`)
	h.create(t, anna, `{"label":"Billing export","scopes":["webhooks:manage"],"expires_in":400000}`)
	ci, id := h.create(t, anna, `{"label":"CI","scopes":["webhooks:manage"],"environment":"test","expires_in":7776000}`)
	h.me(t, ci)
	h.api(t, anna, "POST", "/v1/keys/"+id+"/rotate", `{"overlap":86400}`)
	_, id = h.create(t, anna, `{"label":"Partner sandbox","environment":"test"}`)
	h.api(t, anna, "PATCH", "/v1/keys/"+id, `{"disabled":true}`)
	_, id = h.create(t, anna, `{"label":"Old dashboard"}`)
	h.api(t, anna, "DELETE", "/v1/keys/"+id, "")
	h.create(t, anna, `{"label":"Ein Name, der so lang ist wie der Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenhersteller"}`)
	p := h.signIn(t, anna)
	p.look("list")
	p.do(chromedp.Click("summary"))
	p.has("tbody", "Read the identity of the credential")

	names := func() string {
		return eval[string](p, `[...document.querySelectorAll("tbody th a")].map(a => a.innerText.slice(0, 8)).join("|")`)
	}
	p.choose("order", "name")
	p.click("Apply", 200)
	if got := names(); got != "Anna’s l|Billing |bootstra|CI|CI|Ein Name|Partner " {
		t.Errorf("by name: %s", got)
	}
	p.do(chromedp.Click("#revoked"))
	p.fill("q", "dash")
	p.click("Apply", 200)
	if got := names(); got != "Old dash" {
		t.Errorf("the search found %s", got)
	}
	if got := p.path(); got != "/manage/keys?order=name&q=dash&revoked=1" {
		t.Errorf("at %s", got)
	}
	p.look("found")
	p.fill("q", ci) // all of a key, as of one that has leaked
	p.click("Apply", 200)
	if got := names(); got != "CI" || strings.Contains(p.path(), ci[40:]) {
		t.Errorf("the search for a key found %s at %s", got, p.path())
	}
	p.fill("q", "nothing at all")
	p.click("Apply", 200)
	p.has("main", "No key matches.")
	p.look("not-found")
	p.click("Show all", 200)
	p.load(404, chromedp.Navigate(h.URL+"/manage/keys/none"))
	p.look("not-there")
}

// TestSessionEnds fills in a form whose reader is signed out meanwhile.
func TestSessionEnds(t *testing.T) {
	atLength(t)
	t.Parallel()
	h := start(t)
	key, id := h.create(t, h.Key, `{"label":"Anna","scopes":["keys:manage"]}`)
	p := h.signIn(t, key)
	p.click("New key", 200)
	p.fill("label", "typed before")
	h.api(t, h.Key, "DELETE", "/v1/keys/"+id, "")
	p.click("Create key", 401)
	p.has("main", "You are not signed in any more", "in another tab")
	p.look("session-ended")
	other := p.another()
	other.visit("/manage/sign-in")
	other.fill("key", h.Key)
	other.click("Sign in", 200)
	p.click("Send it again", 201)
	p.has("main", "typed before")
}

// TestTwoTabs changes a key in two tabs.
func TestTwoTabs(t *testing.T) {
	atFullLength(t)
	t.Parallel()
	h := start(t)
	_, id := h.create(t, h.Key, `{"label":"before"}`)
	p := h.signIn(t, h.Key)
	other := p.another()
	for _, tab := range []*tab{p, other} {
		tab.visit("/manage/keys/" + id + "/edit")
	}
	p.fill("label", "of the first tab")
	p.click("Save", 200)
	other.fill("label", "of the second tab")
	other.click("Save", 409)
	other.has("[role=alert]", "changed it in the meantime", "It is now: of the first tab")
	other.look("two-tabs")
	other.click("Save", 200)
	other.has("h1", "of the second tab")
}
