// Package keyshttp has the net/http handlers with which an organization manages
// its API keys.
//
// A [Handler] acts for the organization of the principal in the request's context
// (see [keys.FromContext]). A guard of package middleware puts the principal there, or
// the host's own session code. The Handler does not decide whether the caller may
// manage keys at all. That is for the middleware around it, which [Handler.Register]
// asks for:
//
//	handler.Register(mux, "/v1/keys", guard.Manage("keys:manage"))
//
// The Handler sees to it that nobody gives away more than they have: see [keys.Actor].
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
// where expires_at is null if the key does not expire, and times are in the form of
// [httpjson.Timestamp]. Answers that show or list keys have the last uses, as far as
// they are known: of the key, of the key that it replaces, and of the key that
// replaces it. Answers that make a key begin with "key", the key itself, which is
// never shown again.
//
// # Making a key
//
// The body, which may be missing, is
//
//	{"label"?: text, "scopes"?: [names], "environment"?: word, "expires_in"?: seconds,
//	 "rate_limit_per_minute"?: n, "networks"?: [CIDR], "metadata"?: object}
//
// Without scopes the key gets only the always-granted ones. Without an environment or
// networks it has those of its maker. Without rate_limit_per_minute it has what the plan
// of the organization gives, or the default if there is no plan, or the limit of its
// maker if that is lower. expires_in is from 1 to 315360000 (ten years of 365 days). A
// key never ends later than the lasting credential of its maker: a longer expires_in is
// shortened, and a key without expires_in ends then too. networks are IP networks or
// addresses, and an empty list stands for every address. metadata is the organization's
// own data, at most 4,096 bytes without the spaces between its parts.
//
// # Changing a key
//
// The body may have label, scopes, rate_limit_per_minute, networks, metadata and
// expires_in as above, and disabled: true pauses the key, and false resumes it. What
// is not in the body stays as it is. metadata is replaced as a whole, and {} removes
// it. The always-granted scopes stay. Each value must be within what the caller has;
// the rest of the key may be wider. A caller that may not make keys in the key's
// environment gives it nothing more: no scope, no address, no higher limit and no later
// end. expires_in counts from now. An end cannot be taken away, and cannot be changed
// once the key has expired or has a successor. To resume a key, the caller must have all
// that the key has.
//
// # Rotating a key
//
// The body, which may be missing, is {"overlap"?: seconds, "expires_in"?: seconds}.
// The old key stays good for the overlap, from 0 (it ends at once) to 315360000, but
// never longer than it would have been. Without overlap it stays good until it is
// revoked or expires. Without expires_in the new key is good for as long as the old
// one was, from its making to its end. The new key never ends later than the caller's
// lasting credential. The caller must have all that the key has. If the organization has
// as many keys as it may have, a key can be rotated with the overlap 0 alone.
//
// # Lists
//
// The answer is {"keys": […], "next_cursor"?: text}, in ascending byte order of the
// IDs, without metadata. It has expired and paused keys, and revoked ones if the query
// has include=revoked. The query may also have limit (1 to 200, by default 100) and
// cursor (the next_cursor of the previous answer). If there are more keys, the answer
// has next_cursor.
//
// # Revoking a key
//
// To revoke a key, the caller needs none of what the key has, so that whoever sees that
// it has leaked can end it. A revoked key can still be shown. The query
// descendants=true also revokes everything that was made by the key, by what it made,
// and so on. For that, the caller must have the scopes of each of them.
//
// # Refusals
//
// Bodies are read by [httpjson.Read], and refusals are written by an
// [httpjson.ErrorWriter]:
//
//	400 invalid_request          not such a body, or another query parameter
//	401 unauthorized             no principal
//	401 invalid_token            the caller's credential has ended meanwhile
//	403 insufficient_scope       the caller does not have what this needs
//	404 not_found                unknown, of another organization, or not a key
//	405 method_not_allowed       with Allow
//	409 conflict                 revoked, expired, paused, replaced, or changed meanwhile
//	409 limit_reached            the organization has as many keys as it may have
//	413 payload_too_large
//	415 unsupported_media_type
//	422 invalid_value            a value out of its bounds
//	422 invalid_scope            with the lists "reserved" and "unknown"
//	503 temporarily_unavailable  the store failed, or the plan; with Retry-After
//
// A request that is answered 503 may have been carried out, in full or in part, and can
// be made again. If it made a key, nobody has that key.
//
// The program examples/partnerapi serves these routes, and examples/openapi has a client
// that is generated from their document.
package keyshttp
