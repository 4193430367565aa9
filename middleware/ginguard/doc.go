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
// The *gin.Context itself is no such context, unless ContextWithFallback of the
// engine is set. Middleware in front of the guard finds the caller too, after its
// c.Next: an access log can name who it was.
//
// A request is answered as package middleware says, and as behind net/http: gin only
// has to be told not to run what comes after a refusal. A wrapper that forgets that
// answers 401 and runs the handler.
package ginguard
