// Package middleware puts credentials, limits and scopes in front of net/http
// handlers, and of other transports.
//
// A [Guard] checks a request in a fixed order, which is part of what it promises:
//
//  1. credential: who is the caller (RFC 6750 §2.1)? A caller who is not verified
//     never touches an organization's quota.
//  2. network: may the credential be used from this address?
//  3. limit: has the organization enough requests left? A request that lacks a
//     scope costs as much as one that is let in.
//  4. scope: may the credential do this?
//
// [Guard.Check] and [Guard.CheckText] decide. [Guard.Require], [Guard.RequireAny],
// [Guard.Authenticated], [Guard.Need] and [Guard.Manage] enforce. Handlers behind
// them read the caller from the request's context with [keys.FromContext], and
// the state of the quota with [FromContext].
//
// # Answers
//
// Refusals are JSON, {"error": …, "error_description": …}, unless the host sets
// another [httpjson.ErrorWriter], such as [httpjson.WriteProblem] (RFC 9457):
//
//	400 invalid_request          more than one credential
//	401 unauthorized             no credential, or one of another scheme
//	401 invalid_token            malformed, unknown, wrong, expired, revoked or paused
//	403 address_not_allowed      the credential may not be used from this address
//	403 insufficient_scope       a scope is missing
//	429 rate_limit_exceeded      with Retry-After
//	499 client_gone              the client has hung up; for logs alone
//	503 temporarily_unavailable  the store cannot answer; never 401
//
// Only a caller with the right secret is told that the credential has expired, was
// revoked or is paused. Answers 400, 401 and insufficient_scope have one
// WWW-Authenticate challenge (RFC 6750 §3). All refusals have Cache-Control: no-store.
// All answers to requests whose limit was looked at, good and bad, have the fields
// RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers): q requests
// are permitted in w seconds, r are left, and in t seconds there is one more.
//
// # A guard inside a guard
//
// Guards may stand inside each other, such as [Guard.Authenticated] around a mux and
// [Guard.Require] around its routes. The inner guard checks the credential, its
// networks and its scopes again. If both guards have the same limiter, space, bucket
// and limit, the inner one only charges what its cost is above what was charged before,
// so that a request is charged once. Otherwise it charges in full, so that a stricter
// limit inside holds. A limit with another window must be in a space of its own: see
// [ratelimit.Limit.Horizon]. Its fields about the quota replace those of the outer guard.
//
// Each guard tells its own hook what it decides. A guard inside itself tells only once
// that a request was let in.
//
// A handler that serves several requests for one, such as a batch, must make their
// contexts with NewContext(ctx, Access{}) if each of them is to be charged.
//
// # Answers that last
//
// A request is checked once, when it begins. If the answer lasts, such as a stream of
// events, it goes on when the credential is revoked, expires or is paused meanwhile. A
// handler whose answer must not outlive the credential checks the request that it was
// given again, before each event:
//
//	if _, err := guard.Check(r, need); err != nil {
//		return // the client calls again, and is told why
//	}
//
// If the need costs no more than that of the route, this takes nothing from the quota,
// and the hook is told only if the credential is refused. The check also fails while the
// store does not answer, or the address has no [Options.Failures] left. With
// RemoveCredential the handler's request has no credential: keep it before the guard
// removes it, and call [Guard.CheckText] with the address of [keys.AddressFromContext].
// Handlers of connect do the same, since they have no request of net/http. Package
// grpcguard ends streams by itself.
//
// # Addresses
//
// A request comes from the address of its peer, unless the host names its
// [Proxies]. A [Throttle] limits callers by address, for endpoints that are open to
// those without a credential.
//
// # Where to put it
//
// CORS middleware belongs outside a Guard, so that it answers preflight
// requests, which carry no credential. [Options.AllowPreflight] is for hosts
// that answer them in the handler. Access logs belong outside too. An
// [Options.Hook] gets the context of the request, and so can tell an outer log who
// the caller was.
//
// Routers that take middleware of net/http, such as chi and echo, take that of a
// Guard. For gin, fiber and gRPC there are the modules middleware/ginguard,
// middleware/fiberguard and middleware/grpcguard, and for OpenTelemetry
// middleware/otelguard. Adapters for others call Check, and [Guard.Refuse] if it
// returns an error; package middleware/guardtest tests that nothing gets around their
// Guard.
//
// # Behind nginx
//
// The auth_request of nginx asks a handler about each request. It only knows the
// answers 2xx, 401 and 403, and turns a 429 into a 500. So the handler answers 403 in
// place of 400, 429 and 503, and has the real status in a field, as the example "nginx"
// of [Guard.Require] does; nginx then answers with that status. The folder
// examples/nginx has a complete configuration, with the challenge, the quota and the
// caller. Its core is:
//
//	location / {
//		auth_request /auth;
//		auth_request_set $guard_status $upstream_http_x_guard_status;
//		auth_request_set $guard_retry $upstream_http_retry_after;
//		error_page 403 = @refused;
//		proxy_set_header Authorization "";
//		proxy_pass http://backend;
//	}
//	location = /auth {
//		internal;
//		proxy_pass http://guard;
//		proxy_pass_request_body off;
//		proxy_set_header Content-Length "";
//		proxy_set_header X-Forwarded-For $remote_addr;
//	}
//	location @refused {
//		internal;
//		add_header Retry-After $guard_retry always;
//		if ($guard_status = 400) { return 400; }
//		if ($guard_status = 429) { return 429; }
//		if ($guard_status = 503) { return 503; }
//		return 403;
//	}
package middleware
