// Package fiberguard puts a [middleware.Guard] in front of handlers of fiber.
//
//	app := fiber.New()
//	app.Use(recover.New())
//	app.Get("/orders", fiberguard.Wrap(guard.Require("orders:read")), listOrders)
//	app.Post("/refunds", fiberguard.Wrap(guard.RequireAny("refunds", "admin")), refund)
//
//	admin := app.Group("/admin", fiberguard.Wrap(guard.Require("admin")))
//	admin.Get("/stats", stats)
//
// A handler finds the caller, and the state of the quota, in the context of fiber:
//
//	caller, ok := keys.FromContext(c.Context())
//	access, ok := middleware.FromContext(c.Context())
//
// It finds the caller in c itself too, but c must not be used after the handler has
// returned. A handler that streams its answer takes c.Context() before it calls
// SendStreamWriter.
//
// Requests are answered as package middleware says. Fiber's own adaptor for
// middleware of net/http is no replacement, since it loses the principal. The address
// of a request is that of its peer, whatever fiber's TrustProxy says. Trusted proxies
// are an option of the guard.
//
// The server of fiber does not notice when a client hangs up. So a request whose
// client has gone runs to its end, and is charged.
//
// The host behind it is as in the program examples/partnerapi. Frameworks that take
// middleware of net/http have examples of their own, such as examples/frameworks/echo.
package fiberguard
