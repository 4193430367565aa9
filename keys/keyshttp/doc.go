// Package keyshttp has net/http handlers with which an organization manages
// its API keys, and the strict reading and writing of JSON that they share
// with other management handlers.
//
// A [Handler] acts for the organization of the principal that the request's
// context carries (see [keys.FromContext]), whoever put it there: the
// middleware of this module, or the host's own session code. It does not
// decide whether the caller may manage keys at all. That is for what is
// wrapped around it, and [Mount] asks for it:
//
//	keyshttp.Mount(mux, guard.Require("keys:manage"), handler.Routes("/v1/keys")...)
//
// What a Handler does decide is that nobody gives away more than they have:
// no scope and no rate limit beyond the caller's own.
//
// # Bodies
//
// Request bodies are JSON objects, read by [ReadJSON]: exact member names,
// each at most once, of the right type. Answers are JSON too, are never
// cached, and say times as in [TimeFormat]. An error has the members "error",
// a fixed code, and "error_description", a fixed text for people; it never
// repeats what the caller sent, but for the names of scopes that cannot be
// granted.
//
//	400 invalid_request          not such an object, or a bad query
//	401 unauthorized             no principal
//	403 insufficient_scope       more than the caller has
//	404 not_found                unknown, or not the caller's
//	405 method_not_allowed       with Allow
//	409 conflict                 revoked, expired, or changed meanwhile
//	413 payload_too_large
//	415 unsupported_media_type
//	422 invalid_value            a member or parameter out of its bounds
//	422 invalid_scope            with the lists "reserved" and "unknown"
//	503 temporarily_unavailable  the store failed; with Retry-After
package keyshttp
