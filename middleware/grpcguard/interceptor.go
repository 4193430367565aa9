package grpcguard

import (
	"context"
	"errors"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
)

// DefaultRecheck is how often the credential of a stream is checked again by default.
const DefaultRecheck = time.Minute

// Options are the settings of an [Interceptor]. A nil *Options is the zero Options.
type Options struct {
	// Recheck is the time between two checks of the credential of a stream. So a
	// stream outlives the revocation of its credential by that time at most, or
	// by three times that if the store does not answer. If zero, DefaultRecheck.
	// If negative, the credential is not checked again.
	Recheck time.Duration

	// OmitQuota leaves the fields about the quota out of calls that are let in.
	OmitQuota bool
}

// An Interceptor protects the methods of a server. It is made by [New], and is safe for
// concurrent use.
type Interceptor struct {
	guard *middleware.Guard
	rules map[string]Rule
	opts  Options
}

// New returns an Interceptor that decides about calls with g. The error says which
// rule is wrong. The rules are copied.
//
// Of the options of g, RemoveCredential and AllowPreflight have no meaning here, and
// OmitQuota is the one of opts.
func New(g *middleware.Guard, rules Rules, opts *Options) (*Interceptor, error) {
	if g == nil {
		return nil, errors.New("grpcguard: New needs a guard")
	}
	i := &Interceptor{guard: g, rules: make(map[string]Rule, len(rules))}
	for method, rule := range rules {
		if err := rule.validate(method); err != nil {
			return nil, err
		}
		i.rules[method] = rule
	}
	if opts != nil {
		i.opts = *opts
	}
	if i.opts.Recheck == 0 {
		i.opts.Recheck = DefaultRecheck
	}
	return i, nil
}

// ServerOptions returns the options that put the Interceptor into a server. Calls go
// through the interceptors of a server in the order of its options, so interceptors
// that log or recover from panics belong in front of these.
func (i *Interceptor) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(i.Unary), grpc.ChainStreamInterceptor(i.Stream)}
}

// Unary is a [grpc.UnaryServerInterceptor].
func (i *Interceptor) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	c, err := i.admit(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	resp, err := handler(c.ctx, req)
	c.quota.end(ctx)
	return resp, err
}

// A call is a call that was let in.
type call struct {
	ctx   context.Context
	quota *quota       // nil if there is nothing to tell, or an outer guard tells it
	again func() error // checks the credential again; nil for a public method
}

// admit decides about a call. The error is what the client is told.
func (i *Interceptor) admit(ctx context.Context, method string) (*call, error) {
	rule, found := i.rules[method]
	switch {
	case !found:
		return nil, noRule(method)
	case rule.access == public:
		return &call{ctx: ctx}, nil
	}
	r := request(ctx, method)
	a, err := i.guard.Check(r, rule.need)
	if err != nil {
		return nil, i.refuse(ctx, a, err)
	}
	c := &call{ctx: keys.NewAddressContext(middleware.NewContext(ctx, a), i.guard.Addr(r))}
	// With the Access in the context, a check costs nothing of the quota.
	r = r.WithContext(middleware.NewContext(r.Context(), a))
	c.again = func() error {
		a, err := i.guard.Check(r, rule.need)
		if err != nil {
			return statusOf(i.guard.Refusal(a, err))
		}
		return nil
	}
	if !i.opts.OmitQuota {
		c.tell(&a)
	}
	return c, nil
}

// refuse returns the status of a refusal, and tells the client of its quota.
func (i *Interceptor) refuse(ctx context.Context, a middleware.Access, err error) error {
	if outer := quotaOf(ctx); outer != nil {
		outer.take() // drop the fields of the outer guard, which are outdated
	}
	_ = grpc.SetTrailer(ctx, fields(&a)) // fails only outside of a server
	return statusOf(i.guard.Refusal(a, err))
}

// fields returns the fields about the quota as metadata.
func fields(a *middleware.Access) metadata.MD {
	md := make(metadata.MD)
	for name, value := range a.Fields() {
		md.Set(name, value)
	}
	return md
}

// noRule is the status of methods without a rule.
func noRule(method string) error {
	return newStatus(codes.PermissionDenied, "The method is open to nobody.", "NO_RULE", map[string]string{"method": method}, 0)
}
