package browsertest

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// press presses a key until the element with the focus has a text or an ID.
func (p *tab) press(key, until string) {
	p.t.Helper()
	for range 40 {
		p.do(chromedp.KeyEvent(key))
		at := eval[string](p, `(e => e.id || e.innerText.trim())(document.activeElement)`)
		if at == until {
			// Who cannot use a mouse must see where they are.
			if !eval[bool](p, `(e => e.matches(":focus-visible") && getComputedStyle(e).outlineStyle !== "none")(document.activeElement)`) {
				p.t.Errorf("%q has the focus, and does not show it", until)
			}
			return
		}
	}
	p.t.Fatalf("%q is not to be reached", until)
}

// TestKeyboard makes and revokes a key without a mouse.
func TestKeyboard(t *testing.T) {
	atLength(t)
	t.Parallel()
	h := start(t)
	p := open(t, h.URL)
	p.visit("/manage/")
	p.do(chromedp.WaitVisible("#key:focus"), chromedp.KeyEvent(h.Key)) // the field has the focus by itself
	p.load(200, chromedp.KeyEvent(kb.Enter))
	p.press(kb.Tab, "Skip to the content")
	p.do(chromedp.KeyEvent(kb.Enter))
	p.press(kb.Tab, "New key")
	p.load(200, chromedp.KeyEvent(kb.Enter))
	p.press(kb.Tab, "label")
	p.do(chromedp.KeyEvent("by keyboard"))
	p.press(kb.Tab, "scope-1")
	p.do(chromedp.KeyEvent(" "))
	p.press(kb.Tab, "expires")
	p.do(chromedp.KeyEvent(kb.ArrowDown))
	p.press(kb.Tab, "Create key")
	p.load(201, chromedp.KeyEvent(kb.Enter))
	key := p.secret()
	p.press(kb.Tab, "Copy")
	p.do(chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(`//button[.="Copied"]`))
	p.press(kb.Tab, "I have saved it")
	p.load(200, chromedp.KeyEvent(kb.Enter))
	p.has("main", "keys:manage", "in 12 months")
	p.press(kb.Tab, "Revoke")
	p.load(200, chromedp.KeyEvent(kb.Enter))
	p.press(kb.Tab, "Revoke key")
	p.load(200, chromedp.KeyEvent(kb.Enter))
	p.has("main", "Revoked")
	if h.me(t, key) != 401 {
		t.Error("the key works")
	}
}

// TestWithoutScript does what TestKeys does in a browser that runs no script.
func TestWithoutScript(t *testing.T) {
	atLength(t)
	t.Parallel()
	h := start(t)
	p := open(t, h.URL)
	p.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
	p.visit("/manage/")
	p.fill("key", h.Key)
	p.click("Sign in", 200)
	p.click("New key", 200)
	p.fill("label", "without script")
	p.click("Create key", 201)
	key := p.secret()
	if eval[bool](p, `document.querySelector("[data-copy]").checkVisibility()`) {
		t.Error("there is a button that does nothing")
	}
	p.click("I have saved it", 200)
	p.click("Edit", 200)
	p.fill("label", "still without script")
	p.click("Save", 200)
	p.click("Pause", 200)
	p.click("Resume", 200)
	p.click("Rotate key", 200)
	p.click("Rotate key", 201)
	p.click("I have saved it", 200)
	p.click("Keys", 200)
	p.fill("q", "still")
	p.click("Apply", 200)
	p.has("caption", "2 keys")
	p.click("still without script", 200)
	p.click("Revoke", 200)
	p.click("Revoke key", 200)
	p.has("main", "Revoked")
	if h.me(t, key) != 200 {
		t.Error("the other key does not work")
	}
	p.click("Sign out", 200)
}

// TestPlainHTTP uses the pages on a host that is neither this machine nor behind TLS.
// There browsers send no Sec-Fetch-Site, and give pages no clipboard.
func TestPlainHTTP(t *testing.T) {
	atFullLength(t)
	t.Parallel()
	h := start(t)
	h.URL = strings.Replace(h.URL, "127.0.0.1", "plain.test", 1)
	p := h.signIn(t, h.Key)
	if eval[bool](p, `isSecureContext`) {
		t.Fatal("the browser thinks well of it")
	}
	p.click("New key", 200)
	p.click("Create key", 201)
	key := p.secret()
	p.do(chromedp.Click("[data-copy=secret]"), chromedp.WaitVisible(`//button[.="Copied"]`))
	p.click("Sign out", 200)
	if strings.Contains(p.source(), key) {
		t.Error("the key is still there")
	}
}

// TestSecretIsTakenOut leaves a page with a secret, and comes back.
func TestSecretIsTakenOut(t *testing.T) {
	atFullLength(t)
	t.Parallel()
	h := start(t)
	p := h.signIn(t, h.Key)
	p.click("New key", 200)
	p.click("Create key", 201)
	key := p.secret()
	eval[bool](p, `dispatchEvent(new PageTransitionEvent("pagehide"))`) // as when the browser keeps the page in memory
	if got := p.text("#secret"); got != "" {
		t.Error("the key stays in the page")
	}
	p.visit("/manage/clients")
	ctx, cancel := p.within()
	defer cancel()
	_ = chromedp.Do(ctx, chromedp.NavigateBack()) // the browser may ask before it sends the form again
	if strings.Contains(p.source(), key) {
		t.Error("the key is shown again")
	}
}
