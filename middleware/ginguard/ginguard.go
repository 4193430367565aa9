package ginguard

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// Wrap returns a gin handler that does what the middleware m does. Give it what the
// methods Require, RequireAny, Authenticated, Need and Manage of a Guard return, or the
// method Limit of a Throttle. Handlers after it in gin's chain run only for requests
// that m lets through.
//
// Other middleware of net/http can be wrapped too, if it passes on the
// http.ResponseWriter that it got: a replacement for it would not be used.
func Wrap(m func(http.Handler) http.Handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		admitted := false
		m(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			admitted = true
			c.Request = r
			c.Next()
		})).ServeHTTP(c.Writer, c.Request)
		if !admitted {
			c.Abort()
		}
	}
}
