package benchmarks_test

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"
)

// A floorGuard does the least with which a request can be let through that has
// a key: it splits the text, hashes the secret (one block of SHA-256), compares
// it, reads the clock once, and looks one record up, which holds the bucket too.
//
// What it leaves out of what Claviger does: checksums, lengths and alphabets,
// so that junk costs a look-up and a hash; environments; tokens and their
// clients; more than one Authorization line; equal costs for unknown and known
// IDs; a store that can be written to while it serves (revoking is a flag, adding
// a key needs a new guard); limits that differ by key within an organization;
// errors that say what was wrong; events; and answers with a challenge.
type floorGuard struct {
	origin  time.Time
	records map[string]*floorRecord
}

// A floorRecord is a key, and the bucket of its organization.
type floorRecord struct {
	digest  [sha256.Size]byte
	scopes  []string
	expires int64 // after origin
	revoked atomic.Bool
	principal
	bucket *floorBucket
}

// A principal is what handlers learn about the caller.
type principal struct{ org, id string }

var (
	errFloorCredential = errors.New("floor: not a valid credential")
	errFloorLimit      = errors.New("floor: over the limit")
	errFloorScope      = errors.New("floor: scope is missing")
)

// add registers a key in the text form of Claviger's.
func (g *floorGuard) add(text string, r *floorRecord) {
	id, secret, _ := strings.Cut(text, ".")
	r.digest = sha256.Sum256([]byte(secret))
	r.id = id
	g.records[id] = r
}

func newFloorGuard(text string, perMinute int) *floorGuard {
	g := &floorGuard{origin: time.Now(), records: make(map[string]*floorRecord)}
	cost := int64(time.Minute) / int64(perMinute)
	g.add(text, &floorRecord{
		scopes: []string{scope}, expires: int64(24 * time.Hour), principal: principal{org: org},
		bucket: &floorBucket{cost: cost, window: cost * int64(perMinute)},
	})
	return g
}

// check decides on a request.
func (g *floorGuard) check(r *http.Request, scope string) (*floorRecord, floorDecision, error) {
	var d floorDecision
	lines := r.Header["Authorization"]
	if len(lines) == 0 {
		return nil, d, errFloorCredential
	}
	text, found := strings.CutPrefix(lines[0], "Bearer ")
	id, secret, dotted := strings.Cut(text, ".")
	if !found || !dotted {
		return nil, d, errFloorCredential
	}
	var block [64]byte
	sum := sha256.Sum256(block[:copy(block[:], secret)])
	rec := g.records[id]
	if rec == nil || subtle.ConstantTimeCompare(sum[:], rec.digest[:]) == 0 {
		return nil, d, errFloorCredential
	}
	now := int64(time.Since(g.origin))
	if now >= rec.expires || rec.revoked.Load() {
		return nil, d, errFloorCredential
	}
	if d = rec.bucket.take(now); !d.allowed {
		return nil, d, errFloorLimit
	}
	if slices.Contains(rec.scopes, scope) {
		return rec, d, nil
	}
	return nil, d, errFloorScope
}

// refuse answers as little as can be.
func (g *floorGuard) refuse(w http.ResponseWriter, err error) {
	switch err {
	case errFloorScope:
		w.WriteHeader(http.StatusForbidden)
	case errFloorLimit:
		w.WriteHeader(http.StatusTooManyRequests)
	default:
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// A floorBucket is a bucket of GCRA: one timestamp, in nanoseconds.
type floorBucket struct {
	tat          atomic.Int64
	cost, window int64
}

type floorDecision struct {
	allowed          bool
	limit, remaining int64
	window, reset    int64 // in nanoseconds
}

func (b *floorBucket) take(now int64) floorDecision {
	for {
		old := b.tat.Load()
		tat := max(old, now) + b.cost
		if tat > now+b.window {
			return floorDecision{}
		}
		if b.tat.CompareAndSwap(old, tat) {
			lead := tat - now
			return floorDecision{true, b.window / b.cost, (b.window - lead) / b.cost, b.window, lead}
		}
	}
}

// floorContext is the context of a request with a principal.
type floorContext struct {
	context.Context
	principal principal
}

type principalKey struct{}

func (c *floorContext) Value(key any) any {
	if key == (principalKey{}) {
		return &c.principal
	}
	return c.Context.Value(key)
}

// bareRequest is the one object that a request needs: its copy and the context.
type bareRequest struct {
	request http.Request
	context floorContext
}

// quotaRequest has the text of the fields about the quota as well.
type quotaRequest struct {
	bareRequest
	quota floorQuota
}

// require protects a handler that looks for the principal in the context.
func (g *floorGuard) require(scope string, quota bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec, d, err := g.check(r, scope)
		if err != nil {
			g.refuse(w, err)
			return
		}
		if !quota {
			x := new(bareRequest)
			x.fill(r, rec)
			next.ServeHTTP(w, &x.request)
			return
		}
		x := new(quotaRequest)
		x.fill(r, rec)
		x.quota.set(w.Header(), d)
		next.ServeHTTP(w, &x.request)
	})
}

// fill makes the request that goes on. It is a function of its own so that
// WithContext is inlined, and its copy does not leave the stack.
func (x *bareRequest) fill(r *http.Request, rec *floorRecord) {
	x.context = floorContext{r.Context(), rec.principal}
	x.request = *r.WithContext(&x.context)
}

// requireTyped protects a handler that takes the principal as an argument.
func (g *floorGuard) requireTyped(scope string, quota bool, h func(http.ResponseWriter, *http.Request, principal)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec, d, err := g.check(r, scope)
		if err != nil {
			g.refuse(w, err)
			return
		}
		if quota {
			new(floorQuota).set(w.Header(), d)
		}
		h(w, r, rec.principal)
	})
}

// floorQuota is the memory of the fields about the quota.
type floorQuota struct {
	lines [2]string
	text  [80]byte
}

func (q *floorQuota) set(h http.Header, d floorDecision) {
	b := append(q.text[:0], `"default";q=`...)
	b = strconv.AppendInt(b, d.limit, 10)
	b = append(b, `;w=`...)
	b = strconv.AppendInt(b, d.window/int64(time.Second), 10)
	n := len(b)
	b = append(b, `"default";r=`...)
	b = strconv.AppendInt(b, d.remaining, 10)
	b = append(b, `;t=`...)
	b = strconv.AppendInt(b, (d.reset+int64(time.Second)-1)/int64(time.Second), 10)
	// The bytes are not written again.
	q.lines[0], q.lines[1] = unsafe.String(&b[0], n), unsafe.String(&b[n], len(b)-n)
	h["Ratelimit-Policy"], h["Ratelimit"] = q.lines[0:1:1], q.lines[1:2:2]
}
