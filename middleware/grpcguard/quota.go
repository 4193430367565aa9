package grpcguard

import (
	"context"
	"sync"

	"github.com/claviger-auth/claviger/middleware"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// A quota has the fields about the quota for the header of a call. Metadata can be added
// to a header but not replaced. So the outermost guard keeps the fields, inner guards
// replace them there, and they go into the header when the answer begins.
//
// A handler can begin the answer with grpc.SendHeader. A guard would only see that if it
// put another grpc.ServerTransportStream into the context. But functions of package grpc,
// such as grpc.SetSendCompressor, work with none but grpc's own. So the fields then go
// into the trailer.
type quota struct {
	mu     sync.Mutex
	fields metadata.MD
}

// quotaKey is the key of the *quota among the values of a context.
type quotaKey struct{}

// quotaOf returns the quota that an outer guard keeps, or nil.
func quotaOf(ctx context.Context) *quota {
	q, _ := ctx.Value(quotaKey{}).(*quota)
	return q
}

// tell sets the fields that the client gets to those of a.
func (c *call) tell(a *middleware.Access) {
	told := fields(a)
	if outer := quotaOf(c.ctx); outer != nil {
		outer.put(told)
		return
	}
	c.quota = &quota{fields: told}
	c.ctx = context.WithValue(c.ctx, quotaKey{}, c.quota)
}

func (q *quota) put(fields metadata.MD) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.fields = fields
}

// take returns the fields, and nil from the second call on.
func (q *quota) take() metadata.MD {
	if q == nil {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	fields := q.fields
	q.fields = nil
	return fields
}

// end sets the fields at the end of a call.
func (q *quota) end(ctx context.Context) {
	if fields := q.take(); len(fields) > 0 && grpc.SetHeader(ctx, fields) != nil {
		_ = grpc.SetTrailer(ctx, fields) // fails only outside of a server
	}
}
