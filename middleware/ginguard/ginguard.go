package ginguard

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// Wrap returns a gin handler that does what m does, a guard of package middleware:
// one of the methods Require, RequireAny, Authenticated, Need and Manage of a Guard,
// or Limit of a Throttle. What comes after it in gin's chain runs for requests that m
// lets through, and does not run for others.
//
// Other middleware of net/http can be wrapped too, if it hands on the
// http.ResponseWriter that it gets: one in its place is not used.
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
