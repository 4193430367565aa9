// Package keyshttp has the net/http handlers with which an organization manages
// its API keys.
//
// A [Handler] acts for the organization of the principal that the request's
// context carries (see [keys.FromContext]), whoever put it there: the
// middleware of this module, or the host's own session code. It does not
// decide whether the caller may manage keys at all. That is for what is
// wrapped around it, and [Handler.Register] asks for it:
//
//	handler.Register(mux, "/v1/keys", guard.Manage("keys:manage"))
//
// What a Handler does decide is that nobody gives away more than they have: see
// [keys.Actor].
//
// # Routes
//
// With the path /v1/keys, these are the routes:
//
//	POST   /v1/keys              makes a key: 201
//	GET    /v1/keys              lists keys: 200
//	GET    /v1/keys/{id}         shows a key: 200
//	PATCH  /v1/keys/{id}         changes a key: 200
//	DELETE /v1/keys/{id}         revokes a key, forever: 204, and 204 again
//	POST   /v1/keys/{id}/rotate  makes a successor of a key: 201
//
// A key in an answer is
//
//	{"key_id", "org", "label", "scopes", "rate_limit_per_minute", "created_at",
//	 "expires_at", "revoked_at"?, "last_used_at"?, "environment"?, "created_by"?,
//	 "replaces"?, "replaced_by"?, "disabled_at"?, "networks"?, "metadata"?,
//	 "replaces_last_used_at"?, "replaced_by_last_used_at"?}
//
// where expires_at is null if the key does not expire, and times are as
// [httpjson.TimeFormat] has them. The last uses are there in answers that show or
// list keys, if any use is known: of the key, of the key that it replaces, and of
// the key that replaces it. The answers that make a key begin with "key", the
// key itself, which is never shown again.
//
// # Making a key
//
// The body, which may be missing, is
//
//	{"label"?: text, "scopes"?: [names], "environment"?: word, "expires_in"?: seconds,
//	 "rate_limit_per_minute"?: n, "networks"?: [CIDR], "metadata"?: object}
//
// Without scopes the key holds the always-granted ones alone; without an
// environment or networks it has its maker's; without rate_limit_per_minute it
// has the default, as far as its maker has it. expires_in is from 1 to 315360000
// (ten years of 365 days), and is shortened to the end of its maker's lasting
// credential; so is a key without one. networks are IP networks or addresses, and
// an empty list stands for every address. metadata is the organization's own, at
// most 4,096 bytes without the spaces between its parts.
//
// # Changing a key
//
// The body may have label, scopes, rate_limit_per_minute, networks, metadata and
// expires_in as above, and "disabled": true pauses the key, false lets it go
// on. What is not there stays as it is; metadata is replaced as a whole, and {}
// takes it away; the always-granted scopes stay. Each value must be within what
// the caller has, while the rest of the key may be wider. expires_in counts from
// now; an end cannot be taken away, and cannot be changed once the key has expired
// or has a successor. To let a key go on, the caller must have all that the key
// has.
//
// # Rotating a key
//
// The body, which may be missing, is {"overlap"?: seconds, "expires_in"?: seconds}.
// The old key stays good for the overlap, from 0 (it ends at once) to 315360000,
// and never longer than it would have been; without overlap it lives on until it
// is revoked. Without expires_in the new key is good for as long as the old one
// was from when it was made to its end, and with or without it never longer than
// the lasting credential of who rotates. The caller must have all that the key has.
//
// # Lists
//
// The answer is {"keys": […], "next_cursor"?: text}, in ascending byte order of
// the IDs, without metadata. Expired and paused keys are in it, and revoked ones if
// the query has include=revoked. The query may also have limit (1 to 200, by
// default 100) and cursor (the next_cursor before). next_cursor is there if there
// are more keys.
//
// # Revoking a key
//
// To revoke a key takes none of what it has, so that whoever sees that it has
// leaked can end it. A revoked key can still be shown. With the query
// descendants=true, everything is revoked too that was made by the key, by what it
// made, and so on; that takes the scopes of each of them.
//
// # Refusals
//
// Bodies are read by [httpjson.Read], and refusals are written by an
// [httpjson.ErrorWriter]:
//
//	400 invalid_request          not such a body, or another query parameter
//	401 unauthorized             no principal
//	401 invalid_token            the caller's credential has ended meanwhile
//	403 insufficient_scope       the caller does not have what this takes
//	404 not_found                unknown, not the caller's, or no key
//	405 method_not_allowed       with Allow
//	409 conflict                 revoked, expired, paused, replaced, or changed meanwhile
//	409 limit_reached            the organization has as many keys as it may have
//	413 payload_too_large
//	415 unsupported_media_type
//	422 invalid_value            a value out of its bounds
//	422 invalid_scope            with the lists "reserved" and "unknown"
//	503 temporarily_unavailable  the store failed, or the plan; with Retry-After
//
// A request that is answered 503 may have been carried out, in full or in part,
// and can be made again. Nobody has a key that it made.
package keyshttp
