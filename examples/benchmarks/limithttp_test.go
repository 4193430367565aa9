package benchmarks_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/didip/tollbooth/v8"
	tollboothlimiter "github.com/didip/tollbooth/v8/limiter"
	"github.com/go-chi/httprate"
	"github.com/sethvargo/go-limiter/httplimit"
	"github.com/sethvargo/go-limiter/memorystore"
	"github.com/throttled/throttled/v2"
	"github.com/throttled/throttled/v2/store/memstore"
	"github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/middleware/stdlib"
	"github.com/ulule/limiter/v3/drivers/store/memory"
)

// A limitImpl is middleware that limits by the address of the client, as each
// of them does if nothing else is said, and writes fields of its own about the
// quota. It knows nothing of credentials.
type limitImpl struct {
	name string
	new  func(tb testing.TB, q quota) (protect func(http.Handler) http.Handler)
}

var limitImpls = []limitImpl{
	{"go-limiter", func(tb testing.TB, q quota) func(http.Handler) http.Handler {
		s := must(memorystore.New(&memorystore.Config{Tokens: uint64(q.burst), Interval: q.window()}))
		tb.Cleanup(func() { _ = s.Close(context.Background()) })
		return must(httplimit.NewMiddleware(s, httplimit.IPKeyFunc())).Handle
	}},
	{"httprate", func(_ testing.TB, q quota) func(http.Handler) http.Handler {
		return httprate.LimitBy(q.burst, q.window(), remoteIP)
	}},
	{"throttled", func(_ testing.TB, q quota) func(http.Handler) http.Handler {
		l := must(throttled.NewGCRARateLimiterCtx(must(memstore.NewCtx(0)), throttledQuota(q)))
		return (&throttled.HTTPRateLimiterCtx{RateLimiter: l, VaryBy: &throttled.VaryBy{RemoteAddr: true}}).RateLimit
	}},
	{"tollbooth", func(_ testing.TB, q quota) func(http.Handler) http.Handler {
		l := tollbooth.NewLimiter(float64(q.rate()), nil).SetBurst(q.burst)
		l.SetIPLookup(tollboothlimiter.IPLookup{Name: "RemoteAddr"})
		return tollbooth.HTTPMiddleware(l)
	}},
	{"ulule", func(_ testing.TB, q quota) func(http.Handler) http.Handler {
		l := limiter.New(memory.NewStore(), limiter.Rate{Period: q.window(), Limit: int64(q.burst)})
		return stdlib.NewMiddleware(l).Handler
	}},
}

// remoteIP does what httprate.KeyByIP does. That is marked as deprecated, so that nobody
// uses it behind proxies.
func remoteIP(r *http.Request) (string, error) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	return httprate.CanonicalizeIP(host), err
}

// limitMiddleware are the rows of BenchmarkPath that limit, and do not check
// who calls.
var limitMiddleware = func() (rows []pathImpl) {
	for _, impl := range limitImpls {
		rows = append(rows, pathImpl{impl.name, func(tb testing.TB, _ bool) path {
			return path{handler: impl.new(tb, ample(1))(nothing), good: bearer("")}
		}})
	}
	return rows
}()

func TestLimitMiddleware(t *testing.T) {
	t.Parallel()
	for _, impl := range limitImpls {
		h, w := impl.new(t, quota{3, time.Hour})(nothing), newWriter()
		for i, want := range []int{204, 204, 204, 429, 429} {
			if got := w.serve(h, bearer("")); got != want {
				t.Errorf("%s: request %d: status %d, want %d", impl.name, i+1, got, want)
			}
		}
		r := bearer("")
		r.RemoteAddr = "192.0.2.2:1234"
		if got := w.serve(h, r); got != http.StatusNoContent {
			t.Errorf("%s: another address: status %d, want 204", impl.name, got)
		}
	}
}
