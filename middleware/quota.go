package middleware

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
)

// quotaFields writes the fields about the quota into responses.
type quotaFields struct {
	omit, legacy bool
	policies     [64]atomic.Pointer[policy] // a cache; see policyOf
}

// A policy is a limit as the field RateLimit-Policy has it.
type policy struct {
	limit ratelimit.Limit
	text  string
}

// policyOf returns the text of a limit. Hosts have a few limits, most often one
// for each plan that they sell, so it is usually there already.
func (q *quotaFields) policyOf(l ratelimit.Limit) string {
	place := &q.policies[uint64(l.Burst())*0x9e3779b97f4a7c15>>58]
	p := place.Load()
	if p == nil || p.limit != l {
		text := `"default";q=` + strconv.Itoa(l.Burst()) + `;w=` + strconv.FormatInt(windowSeconds(l), 10)
		p = &policy{l, text}
		place.Store(p)
	}
	return p.text
}

// wanted reports whether the response to a has fields about its quota.
func (q *quotaFields) wanted(a *Access) bool {
	return !q.omit && a.Quota.Limit != (ratelimit.Limit{})
}

// quotaText is the memory of the quota's fields in one response: as a part of
// an object that is made anyway, it costs no allocation. It is written once.
type quotaText struct {
	lines [2]string // the values of the two fields
	text  [32]byte  // the second value, unless its numbers are very large
}

// set writes the fields about the quota d into h, with their text in t.
func (q *quotaFields) set(h http.Header, t *quotaText, d *ratelimit.Decision) {
	b := append(t.text[:0], `"default";r=`...)
	b = strconv.AppendInt(b, int64(d.Remaining), 10)
	b = append(b, `;t=`...)
	b = strconv.AppendInt(b, d.ResetAfterSeconds(), 10)
	t.lines = [...]string{q.policyOf(d.Limit), textOf(b)}
	// These keys are in the canonical form of package http already.
	h["Ratelimit-Policy"], h["Ratelimit"] = t.lines[:1:1], t.lines[1:2:2]
	if q.legacy {
		h.Set("X-RateLimit-Limit", strconv.Itoa(d.Limit.Burst()))
		h.Set("X-RateLimit-Remaining", strconv.Itoa(d.Remaining))
		h.Set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Unix()+d.ResetAfterSeconds(), 10))
	}
}

// textOf returns b, which is not written again, as a string.
func textOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// windowSeconds returns the window of a limit in seconds, rounded up. The cost
// of a request is rounded up too, which makes the window of 7 requests a minute
// some nanoseconds longer than a minute: less than one for each request.
func windowSeconds(l ratelimit.Limit) int64 {
	window := l.Window() - time.Duration(l.Burst()-1)
	return int64((window + time.Second - 1) / time.Second)
}

// An admitted request is what a handler behind Require needs, in one object: the
// copy of the request, and the context with the principal.
type admitted struct {
	request http.Request
	context keys.Context
}

// admit makes x the request that goes on to the handler.
func (x *admitted) admit(r *http.Request, a *Access) *http.Request {
	x.context.Context, x.context.Principal = r.Context(), a.Principal
	// WithContext is inlined, and its copy does not leave the stack.
	x.request = *r.WithContext(&x.context)
	return &x.request
}

// admit returns the request that goes on to the handler, and writes the quota's
// fields, whose text is in the same object.
func (g *Guard) admit(h http.Header, r *http.Request, a *Access) *http.Request {
	if !g.quota.wanted(a) {
		return new(admitted).admit(r, a)
	}
	x := new(struct {
		admitted
		quota quotaText
	})
	g.quota.set(h, &x.quota, &a.Quota)
	return x.admit(r, a)
}
