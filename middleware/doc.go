// Package middleware puts credentials, limits and scopes in front of net/http
// handlers.
//
// A [Guard] checks a request in a fixed order, because the order is part of
// what it promises:
//
//  1. credential: who is it (RFC 6750 §2.1)? A caller who is not verified
//     never touches an organization's quota.
//  2. limit: has the organization a request left? A request that is refused
//     for want of a scope costs one too.
//  3. scope: may this credential do this?
//
// [Guard.Check] decides and [Guard.Require] enforces. Handlers behind Require
// read the caller from the request's context with [keys.FromContext]; handlers
// behind [Guard.RequireFunc] get it as an argument, which costs no allocation.
//
// # Answers
//
// Refusals are JSON, {"error": …, "error_description": …}, unless the host sets
// another [ErrorWriter], such as [WriteProblem] (RFC 9457):
//
//	401 unauthorized             no credential, or one of another scheme
//	401 invalid_token            malformed, unknown, wrong, expired or revoked
//	400 invalid_request          more than one credential
//	403 insufficient_scope       the scope is missing
//	429 rate_limit_exceeded      with Retry-After
//	503 temporarily_unavailable  the store cannot answer; never 401
//
// Those of status 400, 401 and 403 carry one WWW-Authenticate challenge
// (RFC 6750 §3), and all of them Cache-Control: no-store. Answers to verified
// callers, good and bad, carry RateLimit-Policy and RateLimit
// (draft-ietf-httpapi-ratelimit-headers).
//
// # Where to put it
//
// CORS middleware belongs outside a Guard, so that it answers preflight
// requests, which carry no credential; [Options.AllowPreflight] is for hosts
// that answer them in the handler. Access logs belong outside too; an
// [Options.Hook] and that of the keys package see the context of the request,
// and so can tell an outer log who the caller was. Routers that are not
// built on net/http call Check, and [Guard.Refuse] if it returns an error.
//
// A [Throttle] limits callers by address, for endpoints that are open to those
// without a credential.
package middleware
