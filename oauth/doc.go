// Package oauth is an OAuth 2.0 authorization server for the client
// credentials grant (RFC 6749 §4.4), on the records of package keys.
//
// A client is a [keys.Record] of its own kind, and so is a token: the Verifier
// that checks API keys checks tokens too, by the same path, and they are good
// wherever a key is. Revoking or narrowing a client takes effect on its tokens
// at once.
//
// [Server] is the protocol without a transport: [Server.Register] makes a
// client, [Server.Exchange] gives it a token, [Server.Revoke] (RFC 7009) and
// [Server.Introspect] (RFC 7662) speak about tokens. [Handler] puts it on
// net/http, with the metadata of RFC 8414 and RFC 9728.
//
// # The token endpoint
//
// The endpoint takes forms (RFC 6749 §4.4.2) and, beyond the RFC, JSON objects
// with the same members; credentials come by HTTP Basic or in the body
// (§2.3.1). Nothing in the query counts. Parameters without a value count as
// absent, unknown ones are passed over, and one that is there twice is an
// error (§3.2). Errors are JSON objects (§5.2), all of them:
//
//	400 invalid_request          not such a request; no credentials; two of them
//	400 unsupported_grant_type
//	400 invalid_scope            more than the client has, or no scope at all
//	401 invalid_client           unknown, wrong, deleted, paused, or outside of its
//	                             networks: the same bytes
//	413 payload_too_large        more than 64 KiB
//	415 unsupported_media_type   compressed
//	429 temporarily_unavailable  too many failures, or tokens; with Retry-After
//	503 temporarily_unavailable  the store failed; with Retry-After
//
// The charset of a Content-Type is passed over if every byte of the body is
// ASCII, since some clients name one by default.
//
// A token has the scopes that were asked for, and those that every credential
// has. The answer names the former alone, since clients compare them with what
// they asked for.
//
// Where the RFC would have missing credentials answered 401 invalid_client,
// this server says 400 invalid_request: the request is incomplete, and no
// credential was refused.
//
// Failures are counted by client and address, and by address: see
// [HandlerOptions]. A client whose secret was right lately is exempt, so that
// nobody who shares its address can keep it out.
package oauth
