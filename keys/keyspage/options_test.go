package keyspage_test

import (
	"context"
	"errors"
	"html/template"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/keys/keyspage"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store"
)

func TestNewHandler(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	if _, err := keyspage.NewHandler(nil, nil); err == nil {
		t.Error("a nil manager was accepted")
	}
	for path, ok := range map[string]bool{
		"": true, "/a": true, "/a/b-c_d.e~": true, "/": false, "a": false, "/a/": false, "/a//b": false, "/a/../b": false, "/a b": false, "/{a}": false, "/a?b": false, "/ä": false,
	} {
		if _, err := keyspage.NewHandler(h.manager, &keyspage.Options{Path: path}); (err == nil) != ok {
			t.Errorf("path %q: %v", path, err)
		}
	}
	handler, err := keyspage.NewHandler(h.manager, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("no protection, and no panic")
		}
	}()
	handler.Register(http.NewServeMux(), nil)
}

// TestProcesses sends a form that makes a key to two processes.
func TestProcesses(t *testing.T) {
	t.Parallel()
	shared := new(store.Memory)
	limiter, err := ratelimit.NewLimiter(shared, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []*ratelimit.Limiter{limiter, nil} {
		h := newHostWith(t, keys.Options{}, keyspage.Options{Limiter: l})
		values := h.get(anna, "/manage/new/keys").fields()
		h.post(anna, "/manage/new/keys", values).wants(t, 201)
		h.serve(h.manager, keyspage.Options{Limiter: l})
		want := map[bool]int{true: 201, false: 409}[l == nil]
		h.post(anna, "/manage/new/keys", values).wants(t, want)
		other := anna
		other.Org = "globex" // for which the mark is another
		h.post(other, "/manage/new/keys", values).wants(t, 201)
	}
}

// TestLimiterFails makes a key while it cannot be known whether its form was sent
// before.
func TestLimiterFails(t *testing.T) {
	t.Parallel()
	down := brokenLimits{errors.New("limits are down")}
	spaces := make(map[string]int)
	limiter, err := ratelimit.NewLimiter(down, &ratelimit.Options{
		OnFailure: ratelimit.FailClosed,
		Hook:      func(_ context.Context, b ratelimit.Bucket, _ error) { spaces[b.Space]++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	h := newHostWith(t, keys.Options{}, keyspage.Options{Limiter: limiter})
	values := h.get(anna, "/manage/new/keys").fields()
	h.post(anna, "/manage/new/keys", values).wants(t, 503)
	if n := h.records(keys.KindKey); n != 0 || !strings.Contains(h.log.String(), "limits are down") {
		t.Errorf("%d keys; log %s", n, h.log)
	}
	key := h.issue(keys.Spec{}).Record.ID
	h.post(anna, "/manage/keys/"+key+"/rotate", h.get(anna, "/manage/keys/"+key+"/rotate").fields()).wants(t, 503)
	if rec := h.record(key); rec.ReplacedBy != "" {
		t.Error("a key was rotated")
	}
	if spaces["page"] != 2 || len(spaces) != 1 {
		t.Errorf("spaces of limits: %v", spaces)
	}
}

func TestCap(t *testing.T) {
	t.Parallel()
	h := newHostWith(t, keys.Options{MaxKeys: 1}, keyspage.Options{})
	h.issue(keys.Spec{})
	values := h.get(anna, "/manage/new/keys").fields()
	values.Set("label", "one too many")
	p := h.post(anna, "/manage/new/keys", values)
	p.wants(t, 409, "as many as it may have")
	if p.fields().Get("label") != "one too many" {
		t.Error("what was typed is gone")
	}
}

func TestLayoutFails(t *testing.T) {
	t.Parallel()
	h := newHostWith(t, keys.Options{}, keyspage.Options{Layout: func(w io.Writer, _ *http.Request, _ keyspage.Page) error {
		_, _ = io.WriteString(w, "half")
		return errors.New("s3cret")
	}})
	p := h.get(anna, "/manage/keys")
	if p.status != 500 || strings.Contains(p.body, "half") || strings.Contains(p.body, "s3cret") || !strings.Contains(h.log.String(), "s3cret") {
		t.Errorf("%d %s; log %s", p.status, p.body, h.log)
	}
}

// TestPagesOfTheHost writes a page of the host's, and one for a refusal of its
// guard's.
func TestPagesOfTheHost(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	handler, err := keyspage.NewHandler(h.manager, &keyspage.Options{Name: "Acme", SignOut: "/out"})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	handler.WritePage(w, httptest.NewRequest("GET", "/sign-in", nil), 200, "Sign <in>", template.HTML("<h1>Sign in</h1>"))
	for _, part := range []string{"<title>Sign &lt;in&gt; – Acme</title>", "<h1>Sign in</h1>"} {
		if !strings.Contains(w.Body.String(), part) {
			t.Errorf("no %s in %s", part, w.Body)
		}
	}
	if strings.Contains(w.Body.String(), "/out") || w.Header().Get("Content-Security-Policy") == "" {
		t.Errorf("nobody can sign out: %s", w.Body)
	}
	w = httptest.NewRecorder()
	handler.WritePage(w, as(anna, httptest.NewRequest("GET", "/", nil)), 200, "Home", "")
	if !strings.Contains(w.Body.String(), `<form method="post" action="/out">`) || !strings.Contains(w.Body.String(), "Anna") {
		t.Errorf("no way out: %s", w.Body)
	}

	// A form of the host's is not kept: it may have a secret in it.
	r := form("/sign-in", map[string][]string{"label": {"s3cret"}})
	w = httptest.NewRecorder()
	handler.WriteError(w, r, refusalOf(429))
	if w.Code != 429 || strings.Contains(w.Body.String(), "s3cret") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	r = form("/manage/new/keys", map[string][]string{"label": {"typed"}})
	w = httptest.NewRecorder()
	handler.WriteError(w, r, refusalOf(429))
	if w.Code != 429 || !strings.Contains(w.Body.String(), `value="typed"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func refusalOf(status int) httpjson.Refusal {
	return httpjson.Refusal{Status: status, Code: "rate_limit_exceeded", Description: "x"}
}

// brokenLimits is a store of limits that fails.
type brokenLimits struct{ err error }

func (b brokenLimits) Take(context.Context, ratelimit.Bucket, ratelimit.Limit, time.Time, int) (ratelimit.Decision, error) {
	return ratelimit.Decision{}, b.err
}

// A store of limits holds names of 300 bytes. That of a form fits, however long the name
// of the organization is.
func TestMarksFit(t *testing.T) {
	t.Parallel()
	longest := 0
	limiter, err := ratelimit.NewLimiter(noting{&longest}, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := newHostWith(t, keys.Options{}, keyspage.Options{Limiter: limiter})
	p := anna
	p.Org = strings.Repeat("o", keys.MaxOrg)
	h.post(p, "/manage/new/keys", h.get(p, "/manage/new/keys").fields()).wants(t, 201)
	if longest <= keys.MaxOrg || longest > 300 {
		t.Errorf("a name of %d bytes", longest)
	}
}

// noting is a store of limits that notes the length of the longest name.
type noting struct{ longest *int }

func (s noting) Take(_ context.Context, b ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
	*s.longest = max(*s.longest, len(b.Name))
	_, d, err := l.Take(0, now.UnixNano(), n)
	return d, err
}
