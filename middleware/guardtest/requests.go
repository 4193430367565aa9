package guardtest

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
)

// chargesOnce: guards inside each other charge only the highest of their costs, and
// answer with one set of fields.
func chargesOnce(s *suite) {
	s.serve(
		s.route("twice", nil, middleware.Need{}, middleware.Need{All: []string{"read"}}),
		s.route("dearer", nil, middleware.Need{}, middleware.Need{Cost: 5}),
		s.route("cheaper", nil, middleware.Need{Cost: 5}, middleware.Need{}),
	)
	key := s.key("acme", 20, "read")
	s.quota(s.admitted("twice", key), 20, 19)
	s.quota(s.admitted("dearer", key), 20, 14)
	s.quota(s.admitted("cheaper", key), 20, 9)
	s.left("acme", 20, 9)
}

// checksAgainInside: a request that the outer guard lets in may be refused by the
// inner one, and reaches no handler.
func checksAgainInside(s *suite) {
	s.serve(
		s.route("scope", nil, middleware.Need{}, middleware.Need{All: []string{"admin"}}),
		s.route("cost", nil, middleware.Need{}, middleware.Need{Cost: 3}),
	)
	key := s.key("acme", 3, "read")
	s.quota(s.refused(403, "insufficient_scope", "scope", key), 3, 2)
	s.quota(s.refused(429, "rate_limit_exceeded", "cost", key), 3, 1)
}

// keepsRequestsApart: each of several requests at the same time has its own principal,
// also if its handler reads it late.
func keepsRequestsApart(s *suite) {
	const callers, rounds = 8, 8
	var arrived sync.WaitGroup
	arrived.Add(callers)
	s.serve(
		s.route("me", nil),
		s.route("together", func(ctx context.Context, send func(string) error) error {
			arrived.Done()
			arrived.Wait() // all requests are in their handlers
			p, _ := keys.FromContext(ctx)
			return send(p.ID)
		}),
	)
	var done sync.WaitGroup
	for i := range callers {
		issued := s.Issue(fmt.Sprint("org", i), keys.Spec{RateLimit: 100})
		done.Go(func() {
			for i := range rounds {
				route := "me"
				if i == 0 {
					route = "together"
				}
				a, err := s.call(s.Context(), Request{Route: route, Authorization: []string{"Bearer " + issued.Text.Reveal()}})
				if err != nil || a.Body != issued.Record.ID {
					s.Errorf("the handler saw %q, want %q; %v", a.Body, issued.Record.ID, err)
				}
			}
		})
	}
	done.Wait()
}

// survivesPanics: a request whose handler panics is charged for, and the next request is
// served. If it has answered before that, nothing is added to its answer.
func survivesPanics(s *suite) {
	s.serve(
		s.route("panic", func(context.Context, func(string) error) error { panic("on purpose") }),
		s.route("late", func(_ context.Context, send func(string) error) error {
			if err := send("one"); err != nil {
				return err
			}
			panic("on purpose")
		}),
		s.route("me", nil),
	)
	key := s.key("acme", 10)
	for range 2 {
		a, err := s.call(s.Context(), Request{Route: "panic", Authorization: []string{key}})
		if err == nil && a.Status < 500 {
			s.Errorf("a handler that panics was answered %d", a.Status)
		}
	}
	if n := s.ran.Load(); n < 2 { // clients send a request again if the connection breaks
		s.Errorf("the handler ran %d times", n)
	}
	before := int(s.ran.Load())
	s.quota(s.admitted("me", key), 10, 10-before-1)
	s.refused(401, "unauthorized", "panic")
	a, err := s.call(s.Context(), Request{Route: "late", Authorization: []string{s.key("globex", 10)}})
	if err == nil && a.Status < 500 && a.Body != "one" {
		s.Errorf("a handler that panics when it has answered was answered %d %q", a.Status, a.Body)
	}
}

// streams: what a handler sends arrives while it runs, after the fields about the
// quota.
func streams(s *suite) {
	first := make(chan struct{})
	stream := s.route("stream", func(ctx context.Context, send func(string) error) error {
		if err := send("one,"); err != nil {
			return err
		}
		s.wait(first, "the arrival of the first text")
		p, _ := keys.FromContext(ctx)
		return send(p.Org)
	})
	stream.Stream = true
	s.serve(stream)
	key := s.key("acme", 10)
	ctx, cancel := context.WithTimeout(s.Context(), 2*patience)
	defer cancel()
	var once sync.Once
	a, err := s.call(ctx, Request{Route: "stream", Authorization: []string{key}, Received: func(text string) {
		if strings.HasPrefix(text, "one,") {
			once.Do(func() { close(first) })
		}
	}})
	if err != nil || a.Status != 200 || a.Body != "one,acme" {
		s.Errorf("%d %q, %v", a.Status, a.Body, err)
	}
	s.quota(a, 10, 9)
	s.refused(401, "unauthorized", "stream")
}

// endsStreams: the context of a handler ends when its client hangs up.
func endsStreams(s *suite) {
	if s.opts.Deaf {
		return
	}
	ended := make(chan struct{})
	stream := s.route("stream", func(ctx context.Context, send func(string) error) error {
		defer close(ended)
		if err := send("one"); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	})
	stream.Stream = true
	s.serve(stream)
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	_, err := s.call(ctx, Request{
		Route: "stream", Authorization: []string{s.key("acme", 10)},
		Received: func(string) { cancel() },
	})
	if err == nil {
		s.Error("the stream ended before its client hung up")
	}
	s.wait(ended, "the end of the handler")
}

// refusesTheGone: if a client hangs up while its credential is checked, the handler does
// not run, and that does not count as a failure of the service.
func refusesTheGone(s *suite) {
	if s.opts.Deaf {
		return
	}
	s.serve(s.route("me", nil))
	key := s.key("acme", 10)
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	s.before = func(ctx context.Context) {
		cancel()
		s.wait(ctx.Done(), "the end of the request's context")
	}
	if a, err := s.call(ctx, Request{Route: "me", Authorization: []string{key}}); err == nil {
		s.Errorf("a client that hung up got %d", a.Status)
	}
	if e := s.event(); e.Type != keys.Refused || e.Reason != keys.ReasonCanceled {
		s.Errorf("the guard told of %+v", e)
	}
	s.before = nil
	s.admitted("me", key)
	if n := s.ran.Load(); n != 1 {
		s.Errorf("handlers ran %d times, want once", n)
	}
}
