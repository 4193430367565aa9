// Package oauth is an OAuth 2.0 authorization server for the client
// credentials grant (RFC 6749 §4.4), on the records of package keys.
//
// A client is a [keys.Record] of its own kind, and so is a token. The
// [keys.Verifier] that checks API keys checks tokens too, so they are good wherever a
// key is. Revoking or narrowing a client takes effect on its tokens at once.
//
// [Server] is the protocol without a transport: [Server.Register] makes a client,
// [Server.Exchange] gives it a token, [Server.Revoke] ends one (RFC 7009), and
// [Server.Introspect] says what a credential is good for (RFC 7662). [Handler] puts
// it on net/http, with the metadata of RFC 8414 and RFC 9728.
//
// # The token endpoint
//
// The endpoint takes forms (RFC 6749 §4.4.2) and, beyond the RFC, JSON objects
// with the same members. Credentials come by HTTP Basic or in the body (§2.3.1). The
// query is ignored. Parameters without a value count as absent, unknown parameters
// are ignored, and a known parameter that comes twice is an error (§3.2). Every
// error is a JSON object (§5.2):
//
//	400 invalid_request          malformed; without credentials, or with two
//	400 unsupported_grant_type   not client_credentials
//	400 invalid_scope            malformed, or more than the client has
//	401 invalid_client           unknown, wrong, expired, deleted, paused, or outside
//	                             of its networks: the same bytes for all
//	413 payload_too_large        more than 64 KiB
//	415 unsupported_media_type   compressed
//	429 temporarily_unavailable  too many failures or tokens; with Retry-After
//	503 temporarily_unavailable  the store failed; with Retry-After
//
// The charset of a Content-Type is ignored if every byte of the body is ASCII, since
// some clients name one by default.
//
// A token has the scopes that were asked for, and those that every credential
// has. The answer names only those that were asked for, since some clients compare
// the two.
//
// The RFC answers missing credentials with 401 invalid_client. This server answers
// 400 invalid_request: the request is incomplete, and no credential was refused.
//
// Failures are counted by client and address, and by address alone: see
// [HandlerOptions]. A client whose secret was right lately is exempt, so that
// nobody who shares its address can keep it out.
//
// The program examples/partnerapi is an authorization server with this package, and
// examples/client is a client that keeps its token.
package oauth
