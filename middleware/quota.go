package middleware

import (
	"net/http"
	"strconv"
	"time"
	"unsafe"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
)

// quotaFields says which fields about the quota go into a response.
type quotaFields struct{ omit, legacy bool }

// wanted reports whether the response to a has fields about its quota.
func (q quotaFields) wanted(a *Access) bool {
	return !q.omit && a.Quota.Limit != (ratelimit.Limit{})
}

// quotaText is the memory of the quota's fields in one response: as a part of
// an object that is made anyway, it costs no allocation. It is written once.
type quotaText struct {
	lines [2]string // the values of the two fields
	text  [80]byte  // their text: at most 40 bytes each
	n     int       // how much of text is used
}

// set writes the fields about the quota d into h, with their text in t.
func (q quotaFields) set(h http.Header, t *quotaText, d *ratelimit.Decision) {
	// These keys are in the canonical form of package http already.
	h["Ratelimit-Policy"] = t.line(0, `"default";q=`, int64(d.Limit.Burst()), `;w=`, windowSeconds(d.Limit))
	h["Ratelimit"] = t.line(1, `"default";r=`, int64(d.Remaining), `;t=`, d.ResetAfterSeconds())
	if q.legacy {
		h.Set("X-RateLimit-Limit", strconv.Itoa(d.Limit.Burst()))
		h.Set("X-RateLimit-Remaining", strconv.Itoa(d.Remaining))
		h.Set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Unix()+d.ResetAfterSeconds(), 10))
	}
}

// line returns the values of a field that has one: two words, each with a
// number behind it.
func (t *quotaText) line(i int, word1 string, n1 int64, word2 string, n2 int64) []string {
	b := append(t.text[t.n:t.n], word1...)
	b = strconv.AppendInt(b, n1, 10)
	b = append(b, word2...)
	b = strconv.AppendInt(b, n2, 10)
	t.n += len(b)
	// The bytes are not written again, so they may serve as a string.
	t.lines[i] = unsafe.String(unsafe.SliceData(b), len(b))
	return t.lines[i : i+1 : i+1]
}

// windowSeconds returns the window of a limit in seconds, rounded up. The cost
// of a request is rounded up too, which makes the window of 7 requests a minute
// some nanoseconds longer than a minute: less than one for each request.
func windowSeconds(l ratelimit.Limit) int64 {
	window := l.Window() - time.Duration(l.Burst()-1)
	return int64((window + time.Second - 1) / time.Second)
}

// An admitted request is everything that a handler behind Require needs, in one
// object: the copy of the request, the context with the principal, and the
// text of the quota's fields.
type admitted struct {
	request http.Request
	context keys.Context
	quota   quotaText
}

// admit returns the request that goes on to the handler, and writes the quota's
// fields.
func (g *Guard) admit(h http.Header, r *http.Request, a *Access) *http.Request {
	x := new(admitted)
	x.context = keys.Context{Context: r.Context(), Principal: a.Principal}
	// WithContext is inlined, and its copy does not leave the stack.
	x.request = *r.WithContext(&x.context)
	if g.quota.wanted(a) {
		g.quota.set(h, &x.quota, &a.Quota)
	}
	return &x.request
}
