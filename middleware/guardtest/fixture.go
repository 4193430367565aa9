package guardtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
)

// patience is how long a check waits for what must happen.
const patience = 20 * time.Second

var errDown = errors.New("the store is down")

var catalog = scopes.MustCatalog(
	scopes.Scope{Name: "read"},
	scopes.Scope{Name: "write"},
	scopes.Scope{Name: "admin"},
)

// A suite has what one rule is checked with. Limits are by the hour, so that no quota
// comes back while a check runs.
type suite struct {
	*Host
	testing.TB
	start Start
	opts  Options
	db    *store.Memory

	call   Client
	ran    atomic.Int64 // how often handlers ran
	events chan keys.Event

	// before, if not nil, is called before a credential is verified.
	before func(ctx context.Context)
}

func newSuite(t testing.TB, start Start, opts *Options) *suite {
	t.Helper()
	s := &suite{TB: t, start: start, db: new(store.Memory), events: make(chan keys.Event, 1000)}
	if opts != nil {
		s.opts = *opts
	}
	s.Host = newHost(t, s.db, &keys.Options{Catalog: catalog}, nil)
	closed, err := ratelimit.NewLimiter(s.Faults, &ratelimit.Options{OnFailure: ratelimit.FailClosed, Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	s.Limiter = closed
	s.Guard, err = middleware.NewGuard(verifier{s, s.Manager.Verifier()}, closed, &middleware.Options{
		Limit: func(p keys.Principal) (ratelimit.Limit, error) { return hourly(p.RateLimit) },
		Hook:  func(_ context.Context, e keys.Event) { s.events <- e },

		WriteError: s.opts.WriteError,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func hourly(n int) (ratelimit.Limit, error) { return ratelimit.Per(n, time.Hour, n) }

// A verifier calls before, if it is set, before it verifies a credential.
type verifier struct {
	s *suite
	middleware.Verifier
}

func (v verifier) VerifyAt(ctx context.Context, text string, now time.Time) (keys.Principal, error) {
	if v.s.before != nil {
		v.s.before(ctx)
	}
	return v.Verifier.VerifyAt(ctx, text, now)
}

// route returns a route whose handler counts its calls, and then calls handle. If handle
// is nil, it sends the ID of the principal.
func (s *suite) route(name string, handle func(ctx context.Context, send func(string) error) error, needs ...middleware.Need) Route {
	if len(needs) == 0 {
		needs = []middleware.Need{{}}
	}
	if handle == nil {
		handle = func(ctx context.Context, send func(string) error) error {
			p, _ := keys.FromContext(ctx)
			return send(p.ID)
		}
	}
	return Route{Name: name, Guard: s.Guard, Needs: needs, Handle: func(ctx context.Context, send func(string) error) error {
		s.ran.Add(1)
		return handle(ctx, send)
	}}
}

// serve starts the server.
func (s *suite) serve(routes ...Route) {
	s.Helper()
	s.call = s.start(s.TB, routes)
}

// key makes a key with a limit an hour, and returns it as a line of Authorization.
func (s *suite) key(org string, limit int, names ...string) string {
	s.Helper()
	return "Bearer " + s.Issue(org, keys.Spec{RateLimit: limit, Scopes: names}).Text.Reveal()
}

// get calls a route.
func (s *suite) get(route string, authorization ...string) Answer {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	a, err := s.call(ctx, Request{Route: route, Authorization: authorization})
	if err != nil {
		s.Fatalf("%s: %v", route, err)
	}
	return a
}

// admitted calls a route whose handler must run, once.
func (s *suite) admitted(route string, authorization ...string) Answer {
	s.Helper()
	before := s.ran.Load()
	a := s.get(route, authorization...)
	if n := s.ran.Load() - before; a.Status != http.StatusOK || n != 1 {
		s.Fatalf("%s was answered %d %q, and its handler ran %d times; want 200, once", route, a.Status, a.Code, n)
	}
	return a
}

// refused calls a route whose handler must not run.
func (s *suite) refused(status int, code, route string, authorization ...string) Answer {
	s.Helper()
	before := s.ran.Load()
	a := s.get(route, authorization...)
	if n := s.ran.Load() - before; n != 0 {
		s.Errorf("%s was answered %d %q, and its handler ran all the same", route, a.Status, a.Code)
	}
	if a.Status != status || a.Code != code || a.Body != "" {
		s.Errorf("%s was answered %d %q %q, want %d %q", route, a.Status, a.Code, a.Body, status, code)
	}
	if !s.opts.NotHTTP && a.Header.Get("Cache-Control") != "no-store" {
		s.Errorf("%s: a refusal without Cache-Control: no-store", route)
	}
	return a
}

// challenged fails unless an answer has one challenge, or none if want is "".
func (s *suite) challenged(a Answer, want string) {
	s.Helper()
	if s.opts.NotHTTP {
		return
	}
	if want == "" && len(a.Challenge) > 0 || want != "" && (len(a.Challenge) != 1 || a.Challenge[0] != want) {
		s.Errorf("the challenges are %q, want %q", a.Challenge, want)
	}
}

// quota fails unless an answer says, once, that so many requests of a limit an hour
// are left. A limit of 0 is for an answer that says nothing.
func (s *suite) quota(a Answer, limit, left int) {
	s.Helper()
	for name, want := range map[string]string{
		"Ratelimit-Policy": fmt.Sprintf(`"default";q=%d;w=3600`, limit),
		"Ratelimit":        fmt.Sprintf(`"default";r=%d;t=`, left),
	} {
		got := a.Header[name]
		if limit == 0 && len(got) > 0 || limit > 0 && (len(got) != 1 || !strings.HasPrefix(got[0], want)) {
			s.Errorf("the field %s is %q, want %s", name, got, want)
		}
	}
}

// left fails unless an organization has the wanted number of requests left, of a limit
// an hour.
func (s *suite) left(org string, limit, want int) {
	s.Helper()
	l, err := hourly(limit)
	if err != nil {
		s.Fatal(err)
	}
	d, err := s.db.Peek(ratelimit.Bucket{Space: "org", Name: org}, l, time.Now(), 1)
	if err != nil {
		s.Fatal(err)
	}
	if got := d.Remaining + 1; d.Allowed && got != want || !d.Allowed && want != 0 {
		s.Errorf("%d of %d requests are left, want %d", got, limit, want)
	}
}

// event returns the next event of the guard.
func (s *suite) event() keys.Event {
	s.Helper()
	select {
	case e := <-s.events:
		return e
	case <-time.After(patience):
		s.Fatal("the guard told of no decision")
		return keys.Event{}
	}
}

// wait waits for a channel to be closed.
func (s *suite) wait(c <-chan struct{}, what string) {
	s.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		s.Fatalf("%s has not happened", what)
	}
}
