// Package client shows how a Go service calls an API behind a guard. It needs only
// golang.org/x/oauth2, and the transport [Retry], which waits when the API says so and
// which you can copy. The examples use a key, client credentials, and that transport.
package client

import (
	"io"
	"math"
	"net/http"
	"strconv"
	"time"
)

// Retry is an http.RoundTripper. After an answer of 429 it waits for the time in
// Retry-After, and sends the request again. A guard computes that time exactly, and a
// request that it refused has reached no handler, so requests of every method can be
// sent again. The zero value is ready, and safe for concurrent use.
type Retry struct {
	// Next sends requests. If nil, http.DefaultTransport.
	Next http.RoundTripper

	// Most bounds one wait. If Retry-After is longer, or the request's deadline
	// comes before its end, the answer of 429 is returned. If zero, a minute.
	Most time.Duration
}

// RoundTrip implements http.RoundTripper. It waits no longer than the context of r
// allows. A request with a body and without GetBody is sent once.
func (t *Retry) RoundTrip(r *http.Request) (*http.Response, error) {
	next, most := t.Next, t.Most
	if next == nil {
		next = http.DefaultTransport
	}
	if most == 0 {
		most = time.Minute
	}
	for {
		resp, err := next.RoundTrip(r)
		if err != nil || resp.StatusCode != http.StatusTooManyRequests {
			return resp, err
		}
		wait, ok := waitFor(resp.Header)
		deadline, has := r.Context().Deadline()
		if !ok || wait > most || has && time.Now().Add(wait).After(deadline) {
			return resp, nil
		}
		if r, ok = again(r); !ok {
			return resp, nil
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
		_ = resp.Body.Close()
		select {
		case <-time.After(wait):
		case <-r.Context().Done():
			if r.Body != nil {
				_ = r.Body.Close() // as every http.RoundTripper must
			}
			return nil, r.Context().Err()
		}
	}
}

// waitFor returns the time in Retry-After, in seconds as a guard writes it (RFC 9110
// §10.2.3).
func waitFor(h http.Header) (time.Duration, bool) {
	n, err := strconv.ParseInt(h.Get("Retry-After"), 10, 64)
	n = min(n, int64(math.MaxInt64/time.Second)) // a longer time would overflow
	return time.Duration(n) * time.Second, err == nil && n >= 0
}

// again returns a request like r with its body from the start.
func again(r *http.Request) (*http.Request, bool) {
	if r.Body == nil || r.Body == http.NoBody {
		return r, true
	}
	if r.GetBody == nil {
		return r, false
	}
	body, err := r.GetBody()
	if err != nil {
		return r, false
	}
	r = r.Clone(r.Context())
	r.Body = body
	return r, true
}
