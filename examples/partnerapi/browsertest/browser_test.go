package browsertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience bounds a test. A browser is slow on a machine that does much else.
const patience = time.Minute

// need skips a test for want of something, or fails it where all must be there.
func need(t *testing.T, what string, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%s: %v", what, err)
	}
	t.Skipf("%s: %v", what, err)
}

// browser is the one that all tests share, each with cookies of its own.
var browser = sync.OnceValues(func() (context.Context, error) {
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		return nil, fmt.Errorf("no Chromium is installed (apt-get install chromium)")
	}
	options := append(
		chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("host-resolver-rules", "MAP plain.test 127.0.0.1"),
		chromedp.ModifyCmdFunc(endWithParent),
	)
	allocator, _ := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocator)
	shared.Lock()
	stop = append(stop, func() { _ = chromedp.Cancel(ctx) })
	shared.Unlock()
	return ctx, chromedp.Do(ctx)
})

// stop ends what tests have started and share.
var (
	shared sync.Mutex
	stop   []func()
)

func TestMain(m *testing.M) {
	code := m.Run()
	for _, f := range stop {
		f()
	}
	os.Exit(code)
}

// atLength skips a test in a short run, which starts no browser.
func atLength(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("it needs a browser")
	}
}

// atFullLength skips a test unless CLAVIGER_LONG is in the environment.
func atFullLength(t *testing.T) {
	t.Helper()
	if os.Getenv("CLAVIGER_LONG") == "" {
		t.Skip("it needs a browser for some seconds: set CLAVIGER_LONG")
	}
}

// A tab is a page in the browser.
type tab struct {
	t     *testing.T
	ctx   context.Context
	base  string // URL of the host
	looks int    // how often it was looked at
}

// open opens a tab with cookies of its own, which fails the test if a page breaks
// its own content security policy, or if its script fails.
func open(t *testing.T, base string) *tab {
	t.Helper()
	ctx, err := browser()
	if err != nil {
		need(t, "a browser", err)
	}
	return newTab(t, ctx, base, chromedp.WithNewBrowserContext())
}

// another opens a tab beside this one, with the same cookies.
func (p *tab) another() *tab {
	return newTab(p.t, p.ctx, p.base)
}

func newTab(t *testing.T, parent context.Context, base string, options ...chromedp.ContextOption) *tab {
	t.Helper()
	options = append(options, chromedp.WithListener(func(ev any) {
		switch ev := ev.(type) {
		case *cdplog.EventEntryAdded:
			if ev.Entry.Source == cdplog.EntrySourceSecurity || strings.Contains(ev.Entry.Text, "Content Security Policy") {
				t.Errorf("security: %s %s", ev.Entry.Text, ev.Entry.URL)
			}
		case *runtime.EventExceptionThrown:
			t.Errorf("script: %v", ev.ExceptionDetails.Text)
		}
	}))
	ctx, cancel := chromedp.NewContext(parent, options...)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil { // without a deadline, which would end the tab
		t.Fatal(err)
	}
	p := &tab{t: t, ctx: ctx, base: base}
	p.do(chromedp.EmulateViewport(1440, 900))
	return p
}

// within returns the tab's context with a deadline.
func (p *tab) within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(p.ctx, patience)
}

func (p *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := p.within()
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.t.Fatalf("%v\n%s", err, p.source())
	}
}

// source returns the main part of the page, for messages.
func (p *tab) source() string {
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body?.innerText ?? ""`))
	return text
}

// load does what makes the browser load a page, and checks its status.
func (p *tab) load(status int64, actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := p.within()
	defer cancel()
	resp, err := chromedp.RunResponse(ctx, actions...)
	if err != nil {
		p.t.Fatalf("%v\n%s", err, p.source())
	}
	if resp.Status != status {
		p.t.Fatalf("%s: status %d, want %d\n%s", resp.URL, resp.Status, status, p.source())
	}
	if got := resp.Headers["Cache-Control"]; got != "no-store" {
		p.t.Errorf("%s: Cache-Control %v", resp.URL, got)
	}
}

// visit asks for a page by its path.
func (p *tab) visit(path string) {
	p.t.Helper()
	p.load(200, chromedp.Navigate(p.base+path))
}

// click clicks the link or the button with a text, which leads to a page.
func (p *tab) click(text string, status int64) {
	p.t.Helper()
	p.load(status, chromedp.Click(named(text)))
}

// named finds the link or the button with a text.
func named(text string) string {
	return fmt.Sprintf(`//*[self::a or self::button][normalize-space(.)=%q]`, text)
}

// fill types a text into a field in place of what is there.
func (p *tab) fill(id, text string) {
	p.t.Helper()
	all := chromedp.KeyEvent("a", chromedp.KeyModifiers(chromedp.ModifierCtrl))
	p.do(chromedp.Focus("#"+id), all, chromedp.KeyEvent(text))
}

// choose chooses a value of a select element.
func (p *tab) choose(id, value string) {
	p.t.Helper()
	p.do(chromedp.SetValue("#"+id, value))
}

func eval[T any](p *tab, expression string) T {
	p.t.Helper()
	ctx, cancel := p.within()
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// text returns the visible text of the element that a selector finds, and "" if
// there is none.
func (p *tab) text(selector string) string {
	p.t.Helper()
	return eval[string](p, fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, selector))
}

// has fails the test unless the element has the texts.
func (p *tab) has(selector string, texts ...string) {
	p.t.Helper()
	got := p.text(selector)
	for _, text := range texts {
		if !strings.Contains(got, text) {
			p.t.Errorf("%s lacks %q:\n%s", selector, text, got)
		}
	}
}

// path returns the path and the query of the page.
func (p *tab) path() string {
	p.t.Helper()
	return eval[string](p, `location.pathname + location.search`)
}

// views are what a page is looked at as.
var views = []struct {
	width  int64
	scheme string
}{{320, "dark"}, {1440, "light"}, {320, "light"}, {1440, "dark"}}

// look looks at a page as it is now: with axe, for content that is wider than the
// screen, and with a camera if somebody wants to see it. The pages of a tab take turns
// with the views. With CLAVIGER_LONG in the environment, or the camera, each is seen in
// all views.
func (p *tab) look(name string) {
	p.t.Helper()
	audit := axe(p.t)
	seen := views
	if os.Getenv("CLAVIGER_LONG") == "" && os.Getenv("SCREENSHOTS") == "" {
		seen = views[p.looks%len(views):][:1]
		p.looks++
	}
	for _, v := range seen {
		p.do(chromedp.EmulateViewport(v.width, 900), media(v.scheme))
		if wide := eval[int](p, `document.documentElement.scrollWidth`); wide > int(v.width) {
			p.t.Errorf("%s: %d pixels wide on a screen of %d", name, wide, v.width)
		}
		p.picture(fmt.Sprintf("%s-%d-%s", name, v.width, v.scheme))
		p.audit(fmt.Sprintf("%s, %d, %s", name, v.width, v.scheme), audit)
	}
	p.do(chromedp.EmulateViewport(1440, 900), media("light"))
}

func media(scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	})
}

// picture takes a picture of a whole page.
func (p *tab) picture(name string) {
	p.t.Helper()
	folder := os.Getenv("SCREENSHOTS")
	if folder == "" {
		return
	}
	ctx, cancel := p.within()
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, name+".png"), png, 0o666)
	}
	if err != nil {
		p.t.Error(err)
	}
}
