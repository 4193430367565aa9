package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/ratelimit"
)

// Check decides whether r may go on to a handler that needs n. It takes the cost
// from the quota, so call it once for each request. It writes no answer. If the error
// is not nil, give it to [Guard.Refuse] together with the Access, which holds what was
// found before the error. If the request goes on, [Access.SetHeader] writes the
// quota's fields, and [NewContext] hands the Access on.
//
// If the context of r has the Access of an earlier check, as behind another guard,
// Check checks the credential, its networks and its scopes again. If that check was by
// this guard, or under the same limit, and the limiter, the space and the bucket are the
// same, Check only takes what n costs above what was charged before. So do not check
// several requests, such as the messages of a stream, under one context with an Access:
// only the first would pay.
//
// The error is [ErrNoCredential], [ErrSeveralCredentials], one of the [Verifier],
// [ErrNetwork], [ErrOverLimit] or [ErrScope], or wraps [ErrUnavailable] or
// [ErrClientGone]. A name in n that is no scope token is a scope that nobody holds,
// and a cost below 1 is 1.
func (g *Guard) Check(r *http.Request, n Need) (a Access, err error) {
	err = g.check(r, &rule{need: n}, &a)
	return a, err
}

// CheckText is [Guard.Check] for what is not an http.Request: text is the
// credential alone, as [Bearer] returns it, and addr is the address that the request
// comes from. The zero Addr stands for an unknown address, which is outside of all
// networks.
func (g *Guard) CheckText(ctx context.Context, text string, addr netip.Addr, n Need) (a Access, err error) {
	err = g.decide(&request{ctx: ctx, text: text, from: origin{addr: addr}}, &rule{need: n}, &a)
	return a, err
}

// Addr returns the address that r comes from, as Options.Proxies say: see
// [Proxies.Addr]. It is for callers of [Guard.Check], which hand it on with
// [keys.NewAddressContext].
func (g *Guard) Addr(r *http.Request) netip.Addr { return g.proxies.Addr(r) }

// A request is what a guard decides about.
type request struct {
	ctx  context.Context
	text string // the credential
	err  error  // why there is none
	from origin

	claim keys.Claim // what was presented, for the hook
}

// An origin is where a request comes from.
type origin struct {
	http *http.Request // nil if addr is set
	addr netip.Addr
}

// address returns the address that a request comes from. It is computed only if a
// decision depends on it.
func (o *origin) address(p *Proxies) netip.Addr {
	if o.http != nil {
		return p.Addr(o.http)
	}
	return o.addr
}

// A hookContext is the context in which the hook is told of a request, unless all that
// it is told is that the request was let in. It has the address of the request, computed
// only if the hook asks for it.
type hookContext struct {
	context.Context
	from    origin
	proxies *Proxies
}

func (c *hookContext) Value(key any) any {
	if key == keys.AddressKey {
		return c.from.address(c.proxies)
	}
	return c.Context.Value(key)
}

// Format prints the outer context, and nothing of the request with its secret.
func (c *hookContext) Format(f fmt.State, _ rune) {
	fmt.Fprint(f, c.Context, ".WithValue(keys.AddressKey)")
}

func (g *Guard) hookContext(q *request) *hookContext { return &hookContext{q.ctx, q.from, g.proxies} }

// check decides about an HTTP request.
func (g *Guard) check(r *http.Request, rule *rule, a *Access) error {
	q := request{ctx: r.Context(), from: origin{http: r}}
	q.text, q.err = g.sources.find(r.Header)
	return g.decide(&q, rule, a)
}

// decide decides about a request, and tells the hook. It writes what it finds out to
// a, which the caller passes zero.
func (g *Guard) decide(q *request, rule *rule, a *Access) error {
	now := time.Now()
	a.guard, a.outer = g, accessOf(q.ctx)
	err := g.examine(q, rule, now, a)
	if err != nil && httpjson.ClientGone(q.ctx) && answerTo(err).answer == unavailable {
		err = fmt.Errorf("%w: %w", ErrClientGone, err)
	}
	if g.hook != nil {
		g.tell(q, a, now, err)
	}
	return err
}

// examine goes through the steps of a check. Their order is promised.
func (g *Guard) examine(q *request, rule *rule, now time.Time, a *Access) (err error) {
	if q.err != nil {
		return q.err
	}
	if err := g.authenticate(q, now, a); err != nil {
		return err
	}
	if a.Principal.Org == "" {
		a.Principal = keys.Principal{}
		return errNobody
	}
	if networks := a.Principal.Networks; !networks.IsEmpty() && !networks.Allows(q.from.address(g.proxies)) {
		return ErrNetwork
	}
	if err := g.charge(q, rule, now, a); err != nil {
		return err
	}
	if !rule.need.met(&a.Principal) {
		if a.Scope = rule.scope; a.Scope == "" {
			a.Scope = rule.need.scope()
		}
		return ErrScope
	}
	return nil
}

// errNobody is a mistake of a host's Verifier, such as one that returns no error for a
// credential that it does not know.
var errNobody = errors.New("middleware: the verifier has accepted a credential without an organization")

// authenticate finds out who a request comes from.
func (g *Guard) authenticate(q *request, now time.Time, a *Access) (err error) {
	if g.failed == nil {
		return verify(q.ctx, g.verifier, q.text, now, &a.Principal, &q.claim)
	}
	from := g.failed.bucket(q.from.address(g.proxies))
	if d, err := g.failed.look(from, now); err != nil || !d.Allowed {
		a.Quota, a.policy = d, failures
		return notAdmitted(err)
	}
	err = verify(q.ctx, g.verifier, q.text, now, &a.Principal, &q.claim)
	if err != nil && answerTo(err).answer == invalid {
		g.failed.note(from, now)
	}
	return err
}

// charge takes what a request costs from the quota, less what an earlier check has
// taken for it.
func (g *Guard) charge(q *request, rule *rule, now time.Time, a *Access) error {
	if rule.need.Manage {
		a.policy = management
	}
	if a.limiter() == nil {
		return nil
	}
	limit, err := g.limitOf(q, a)
	if err != nil {
		return notAdmitted(err)
	}
	cost := min(max(rule.need.Cost, 1), limit.Burst())
	due := cost
	if before := a.charged(limit); before != nil {
		if due -= before.cost; due <= 0 {
			a.Quota = before.Quota
			return nil
		}
	}
	a.Quota, err = a.limiter().TakeAt(q.ctx, a.bucket, limit, now, due)
	if err != nil || !a.Quota.Allowed {
		return notAdmitted(err)
	}
	a.cost = cost
	return nil
}

// limitOf returns the limit of a request, and sets the name of its bucket.
func (g *Guard) limitOf(q *request, a *Access) (ratelimit.Limit, error) {
	if a.policy == management {
		a.bucket = manageBucket(&a.Principal, q.from.address(g.proxies))
		return ratelimit.PerMinute(a.Principal.RateLimit)
	}
	if a.bucket = a.Principal.Org; g.bucket != nil {
		a.bucket = g.bucket(a.Principal)
	}
	if g.limit != nil {
		return g.limit(a.Principal)
	}
	return ratelimit.PerMinute(a.Principal.RateLimit)
}

// manageBucket returns the name of the bucket for the management requests of a
// lasting credential from an address. No name of an address has a space, and no
// ID begins with one.
func manageBucket(p *keys.Principal, addr netip.Addr) string {
	id := p.LastingID()
	if id == "" { // a session of the host's
		id = " " + p.Org
	}
	return ratelimit.AddressName(addr) + " " + id
}

// notAdmitted returns the error for a request that a limiter did not admit. The err
// is the limiter's own error; if it is nil, the request is over the limit.
func notAdmitted(err error) error {
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return ErrOverLimit
}

// tell reports a decision to the hook.
func (g *Guard) tell(q *request, a *Access, now time.Time, err error) {
	e := keys.Event{Type: keys.Accepted, Time: now, Org: q.claim.Org, ID: q.claim.ID, Kind: q.claim.Kind}
	if err != nil {
		e.Type, e.Reason = keys.Refused, answerTo(err).reason
		if e.Reason == keys.ReasonUnavailable {
			e.Err = err
		}
		if e.Org == "" {
			// It may be a part of a header. If a hook kept it, the whole header
			// would stay in memory.
			e.ID = strings.Clone(e.ID)
		}
		g.hook(g.hookContext(q), e)
		if e.Reason == keys.ReasonExpired || e.Reason == keys.ReasonRevoked {
			g.tellReplaced(q, keys.UsedEnded, e, q.claim.ReplacedBy)
		}
		return
	}
	if a.told() {
		return
	}
	g.hook(q.ctx, e)
	g.tellReplaced(q, keys.UsedReplaced, e, a.Principal.ReplacedBy)
}
