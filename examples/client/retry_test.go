package client_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/examples/client"
	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware/guardtest"
)

// inProcess sends requests to a handler, without a network.
type inProcess struct {
	http.Handler
	sent int
}

func (p *inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	p.sent++
	if r.Body == nil { // as no handler sees it
		r = r.Clone(r.Context())
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	_ = r.Body.Close()
	return w.Result(), nil
}

// A body of a request counts itself until it is closed.
type body struct {
	io.Reader
	open *int
}

func (b *body) Close() error {
	*b.open--
	return nil
}

// A client waits as long as the guard says, to the second.
func TestRetry(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		make func(ctx context.Context) *http.Request
		most time.Duration
		want string        // the status of the second request
		wait time.Duration // before its answer
		sent int           // of both
	}{
		{"without a body", func(ctx context.Context) *http.Request { return newRequest(ctx, nil) }, 0, "200 ", 30 * time.Second, 3},
		{"with a body", func(ctx context.Context) *http.Request { return newRequest(ctx, strings.NewReader("hello")) }, 0, "200 hello", 30 * time.Second, 3},
		{"with one that is gone", func(ctx context.Context) *http.Request {
			return newRequest(ctx, struct{ io.Reader }{strings.NewReader("hello")})
		}, 0, "429", 0, 2},
		{"longer than it may", func(ctx context.Context) *http.Request { return newRequest(ctx, nil) }, 29 * time.Second, "429", 0, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				host := guardtest.New(t, nil, nil)
				key := host.Issue("acme", keys.Spec{RateLimit: 2}).Text.Reveal()
				echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
				server := &inProcess{Handler: host.Guard.Authenticated()(echo)}
				retry := &client.Retry{Next: server, Most: tt.most}
				if got := send(t, retry, newRequest(t.Context(), nil), key); got != "200 " {
					t.Fatal(got)
				}
				if d, err := host.Guard.Check(withKey(newRequest(t.Context(), nil), key), needNothing); err != nil {
					t.Fatal(d, err)
				}
				began := time.Now()
				got := send(t, retry, tt.make(t.Context()), key)
				if !strings.HasPrefix(got, tt.want) || time.Since(began) != tt.wait || server.sent != tt.sent {
					t.Errorf("%q after %v, sent %d times, want %+v", got, time.Since(began), server.sent, tt)
				}
			})
		})
	}
}

// A request waits no longer than its context allows.
func TestRetryHeedsTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := &inProcess{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "10")
			w.WriteHeader(http.StatusTooManyRequests)
		})}
		retry := &client.Retry{Next: server}
		began := time.Now()
		short, stop := context.WithTimeout(t.Context(), 9*time.Second)
		defer stop()
		resp, err := retry.RoundTrip(newRequest(short, nil))
		if err != nil || resp.StatusCode != 429 || time.Since(began) != 0 {
			t.Errorf("%v, %v after %v", resp, err, time.Since(began))
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(25*time.Second, cancel)
		open := 0 // bodies
		r := newRequest(ctx, nil)
		r.GetBody = func() (io.ReadCloser, error) { open++; return &body{strings.NewReader("hello"), &open}, nil }
		r.Body, _ = r.GetBody()
		if _, err := retry.RoundTrip(r); !errors.Is(err, context.Canceled) || time.Since(began) != 25*time.Second || server.sent != 4 || open != 0 {
			t.Errorf("%v after %v, sent %d times, %d bodies open", err, time.Since(began), server.sent, open)
		}
	})
}

// If Retry-After is not a number of seconds, or an absurd one, the client does not wait.
func TestRetryAfterThatIsNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "soon", "-1", "9999999999", "Wed, 21 Oct 2026 07:28:00 GMT"} {
		server := new(inProcess)
		server.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", text)
			if server.sent == 1 {
				w.WriteHeader(http.StatusTooManyRequests)
			}
		})
		resp, err := (&client.Retry{Next: server}).RoundTrip(newRequest(t.Context(), nil))
		if err != nil || resp.StatusCode != 429 || server.sent != 1 {
			t.Errorf("%q: %v, %v, sent %d times", text, resp, err, server.sent)
		}
	}
}
