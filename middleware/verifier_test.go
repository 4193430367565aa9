package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
)

// says is a Verifier that says the same of every credential.
type says func() (keys.Principal, error)

func (f says) VerifyAt(context.Context, string, time.Time) (keys.Principal, error) { return f() }

func TestAnyOf(t *testing.T) {
	t.Parallel()
	down := fmt.Errorf("%w: first", keys.ErrUnavailable)
	down2 := fmt.Errorf("%w: second", keys.ErrUnavailable)
	own := errors.New("own")
	wrapped := fmt.Errorf("x: %w", keys.ErrUnknown)
	tests := []struct {
		name string
		errs []error // of the verifiers, nil for one that accepts
		want error
		who  string // the ID in the event
	}{
		{"one that accepts", []error{nil}, nil, "0"},
		{"the first of two", []error{nil, nil}, nil, "0"},
		{"after one that reads nothing", []error{keys.ErrMalformed, nil}, nil, "1"},
		{"after one that knows nothing", []error{keys.ErrUnknown, nil}, nil, "1"},
		{"after one that wraps", []error{wrapped, nil}, nil, "1"},
		{"after one that is down", []error{down, nil}, nil, "1"},
		{"wrong, and the next would accept", []error{keys.ErrMismatch, nil}, keys.ErrMismatch, "0"},
		{"expired, and the next would accept", []error{keys.ErrExpired, nil}, keys.ErrExpired, "0"},
		{"revoked, and the next would accept", []error{keys.ErrRevoked, nil}, keys.ErrRevoked, "0"},
		{"paused, and the next would accept", []error{keys.ErrPaused, nil}, keys.ErrPaused, "0"},
		{"own error, and the next would accept", []error{own, nil}, own, "0"},
		{"nobody reads it", []error{keys.ErrMalformed, keys.ErrMalformed}, keys.ErrMalformed, ""},
		{"one reads it", []error{keys.ErrMalformed, keys.ErrUnknown, keys.ErrMalformed}, keys.ErrUnknown, "1"},
		{"unknown, then wrong", []error{keys.ErrUnknown, keys.ErrMismatch}, keys.ErrMismatch, "1"},
		{"down, then unknown", []error{down, keys.ErrUnknown}, down, ""},
		{"down, then malformed", []error{down, keys.ErrMalformed}, down, ""},
		{"unknown, then down", []error{keys.ErrUnknown, down}, down, ""},
		{"down, then wrong", []error{down, keys.ErrMismatch, nil}, down, ""},
		{"down, then down", []error{down, down2}, down, ""},
	}
	for _, tt := range tests {
		var verifiers []middleware.Verifier
		for i, err := range tt.errs {
			verifiers = append(verifiers, says(func() (keys.Principal, error) { return keys.Principal{Org: "acme", ID: fmt.Sprint(i)}, err }))
		}
		v := middleware.AnyOf(verifiers...)
		p, err := v.VerifyAt(t.Context(), "x", time.Now())
		if err != tt.want || err == nil && p.ID != tt.who || err != nil && p != (keys.Principal{}) {
			t.Errorf("%s: %q, %v, want %q, %v", tt.name, p.ID, err, tt.who, tt.want)
		}
		var told string
		g, err := middleware.NewGuard(v, nil, &middleware.Options{Hook: func(_ context.Context, e keys.Event) { told = e.ID }})
		if err != nil {
			t.Fatal(err)
		}
		a, err := g.Check(request("GET", "Bearer x"), middleware.Need{})
		if err != tt.want || told != tt.who || err != nil && a.Principal != (keys.Principal{}) {
			t.Errorf("%s, in a guard: %+v, %v, event about %q", tt.name, a.Principal, err, told)
		}
	}
}

func TestAnyOfPanics(t *testing.T) {
	t.Parallel()
	for name, verifiers := range map[string][]middleware.Verifier{"none": {}, "nil": {says(nil), nil}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			middleware.AnyOf(verifiers...)
		}()
	}
}

// AnyOf keeps the list that it was made of.
func TestAnyOfCopiesItsList(t *testing.T) {
	t.Parallel()
	list := []middleware.Verifier{says(func() (keys.Principal, error) { return keys.Principal{}, keys.ErrUnknown })}
	v := middleware.AnyOf(list...)
	list[0] = says(func() (keys.Principal, error) { return keys.Principal{}, nil })
	if _, err := v.VerifyAt(t.Context(), "x", time.Now()); err != keys.ErrUnknown {
		t.Errorf("%v", err)
	}
}

// A picky is a Verifier that embeds another one, and has a VerifyAt of its own.
type picky struct{ *keys.Verifier }

func (picky) VerifyAt(context.Context, string, time.Time) (keys.Principal, error) {
	return keys.Principal{ID: "picky"}, keys.ErrRevoked
}

// A guard asks a Verifier by VerifyAt, whatever other methods it has.
func TestVerifierIsNotPassedBy(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	r := request("GET", "Bearer "+env.key("acme", 0))
	for name, v := range map[string]middleware.Verifier{
		"alone": picky{env.manager.Verifier()}, "in AnyOf": middleware.AnyOf(picky{env.manager.Verifier()}),
	} {
		var told string
		g, err := middleware.NewGuard(v, nil, &middleware.Options{Hook: func(_ context.Context, e keys.Event) { told = e.ID }})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.Check(r, middleware.Need{}); err != keys.ErrRevoked || told != "picky" {
			t.Errorf("%s: %v, event about %q", name, err, told)
		}
	}
}

// TestVerifierSaysWhatWasReplaced has a verifier refuse a key, and say which one
// has taken its place.
func TestVerifierSaysWhatWasReplaced(t *testing.T) {
	t.Parallel()
	var told []keys.Event
	g, err := middleware.NewGuard(says(func() (keys.Principal, error) {
		return keys.Principal{Org: "acme", ID: "old", Kind: keys.KindKey, ReplacedBy: "new"}, keys.ErrExpired
	}), nil, &middleware.Options{Hook: func(_ context.Context, e keys.Event) { told = append(told, e) }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Check(request("GET", "Bearer x"), middleware.Need{}); err != keys.ErrExpired {
		t.Fatal(err)
	}
	if len(told) != 2 || told[1].Type != keys.UsedEnded || told[1].ID != "old" || told[1].ReplacedBy != "new" {
		t.Errorf("told %+v", told)
	}
}

// TestVerifiersOfHosts gives a guard answers that a verifier should not give, and errors
// that wrap those of package keys.
func TestVerifiersOfHosts(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	tests := []struct {
		name string
		p    keys.Principal
		err  error
		want int
	}{
		{"good", keys.Principal{Org: "acme", RateLimit: 60}, nil, 204},
		{"no limit", keys.Principal{Org: "acme"}, nil, 503},
		{"no organization", keys.Principal{RateLimit: 60}, nil, 503},
		{"wrapped", keys.Principal{}, fmt.Errorf("jwt: %w", keys.ErrExpired), 401},
		{"an error of its own", keys.Principal{Org: "acme", RateLimit: 60}, errors.New("jwt: no keys"), 503},
		{"down, which it takes for unknown", keys.Principal{}, errors.Join(keys.ErrUnknown, keys.ErrUnavailable), 503},
		{"its time is over", keys.Principal{}, context.DeadlineExceeded, 503},
		{"a context of its own was canceled", keys.Principal{}, context.Canceled, 503},
	}
	for _, tt := range tests {
		g, err := middleware.NewGuard(says(func() (keys.Principal, error) { return tt.p, tt.err }), env.limiter, nil)
		if err != nil {
			t.Fatal(err)
		}
		if w := serve(g.Authenticated()(ok), request("GET", "Bearer x")); w.Code != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, w.Code, tt.want)
		}
	}
	// A mistake that must not let everybody in.
	g, err := middleware.NewGuard(says(func() (p keys.Principal, err error) { return p, err }), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if w := serve(g.Authenticated()(ok), request("GET", "Bearer x")); w.Code != 503 {
		t.Errorf("nobody, without limits: %d", w.Code)
	}
}
