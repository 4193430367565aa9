package middleware

import (
	"net/http"
	"strconv"
	"time"
	"unsafe"

	"github.com/claviger-auth/claviger/ratelimit"
)

// A policy says which limit a decision is about.
type policy uint8

const (
	byDefault  policy = iota // the limit of requests
	management               // the limit of management requests, of [Guard.Manage]
	failures                 // the limit of failures of an address
	policies
)

// policyNames are the names in RateLimit-Policy and in RateLimit.
var policyNames = [policies]string{"default", "management", "failures"}

var quotaNames = [...]string{"RateLimit-Policy", "RateLimit"}

// quotaText holds the fields about the quota of one response
// (draft-ietf-httpapi-ratelimit-headers). It is a part of an object that is allocated
// anyway, so the fields cost no allocation. It is written once.
type quotaText struct {
	values [len(quotaNames)]string
	memory [56]byte // their text, unless its numbers are very large
}

// write writes the fields about the quota of a.
func (t *quotaText) write(a *Access) {
	name, d := policyNames[a.policy], &a.Quota
	b := append(t.memory[:0], '"')
	b = append(b, name...)
	b = append(b, `";q=`...)
	b = strconv.AppendInt(b, int64(d.Limit.Burst()), 10)
	b = append(b, `;w=`...)
	b = strconv.AppendInt(b, windowSeconds(d.Limit), 10)
	n := len(b)
	b = append(b, '"')
	b = append(b, name...)
	b = append(b, `";r=`...)
	b = strconv.AppendInt(b, int64(d.Remaining), 10)
	b = append(b, `;t=`...)
	b = strconv.AppendInt(b, d.NextAfterSeconds(), 10)
	// The bytes of a string must not change, and b is not written again.
	text := unsafe.String(unsafe.SliceData(b), len(b))
	t.values = [...]string{text[:n], text[n:]}
}

// set sets the fields about the quota of a, with their text in t.
func (t *quotaText) set(h http.Header, a *Access) {
	t.write(a)
	// These keys are in the canonical form of package http already.
	h["Ratelimit-Policy"], h["Ratelimit"] = t.values[:1:1], t.values[1:2:2]
	if a.guard != nil && a.guard.legacy {
		for i, value := range legacyValues(&a.Quota) {
			h.Set(legacyNames[i], value)
		}
	} else if a.outer != nil && h["X-Ratelimit-Limit"] != nil { // of an outer guard, about another quota
		for _, name := range legacyNames {
			h.Del(name)
		}
	}
}

var legacyNames = [...]string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"}

// legacyValues returns the values of legacyNames. The last one is the time when the
// bucket is full again, in seconds since 1970.
func legacyValues(d *ratelimit.Decision) [len(legacyNames)]string {
	return [...]string{
		strconv.Itoa(d.Limit.Burst()), strconv.Itoa(d.Remaining),
		strconv.FormatInt(time.Now().Unix()+d.ResetAfterSeconds(), 10),
	}
}

// retryAfter returns the value of Retry-After (RFC 9110 §10.2.3).
func retryAfter(seconds int64) string { return strconv.FormatInt(seconds, 10) }

// windowSeconds returns the window of a limit in seconds, rounded up. The cost
// of a request is rounded up too, which makes the window of 7 requests a minute
// some nanoseconds longer than a minute: less than one for each request.
func windowSeconds(l ratelimit.Limit) int64 {
	window := l.Window() - time.Duration(max(l.Burst(), 1)-1)
	return int64((window + time.Second - 1) / time.Second)
}
