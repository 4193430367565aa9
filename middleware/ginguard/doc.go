// Package ginguard puts a [middleware.Guard] in front of handlers of gin.
//
//	r := gin.New()
//	r.Use(gin.Logger(), gin.Recovery())
//	r.GET("/orders", ginguard.Wrap(guard.Require("orders:read")), listOrders)
//	r.POST("/refunds", ginguard.Wrap(guard.RequireAny("refunds", "admin")), refund)
//
//	admin := r.Group("/admin", ginguard.Wrap(guard.Require("admin")))
//	admin.GET("/stats", stats)
//
// A handler finds the caller in the context of the request:
//
//	caller, ok := keys.FromContext(c.Request.Context())
//
// The *gin.Context itself does not have the caller, unless ContextWithFallback of the
// engine is set. Middleware in front of the guard finds the caller too, after its
// c.Next, so that an access log can name it.
//
// The address of a request is that of its peer, whatever gin's TrustedProxies say.
// Trusted proxies are an option of the guard.
//
// Requests are answered as package middleware says. All that Wrap does besides is to
// keep gin from running the handler after a refusal: a wrapper that forgets that
// answers 401 and runs the handler.
//
// The host behind it is as in the program examples/partnerapi. Frameworks that take
// middleware of net/http have examples of their own, such as examples/frameworks/echo.
package ginguard
