// Package keys holds the life cycle of credentials: API keys, OAuth clients
// and access tokens.
//
// Every credential is one [Record]. The kinds differ in their text form and
// their lifetime, not in how they are hashed, found, checked, revoked,
// rotated, listed or stored. So there is one contract for stores ([Store]),
// one way to check a credential ([Verifier]) and one place that changes
// records ([Manager]). A successful check gives a [Principal], the same type
// for each kind.
//
// # Credentials
//
// A credential has two halves: a public ID, which may be logged, and a
// secret, which is shown once, in the answer to the call that made it. A
// [Format] says how the two are written as one text. Secrets are kept in
// memory as [Secret] values, which print as "[redacted]", and in stores as
// [Digest] values: SHA-256, since the library's secrets hold 256 random bits,
// or HMAC-SHA-256 if the host configures a [Pepper].
//
// # Setting up
//
// [NewManager] takes a Store and [Options], and [Manager.Verifier] returns the
// Verifier that goes with it; a process that makes no credentials needs
// [NewVerifier] alone. The package knows nothing of HTTP: package middleware
// checks requests, and package keys/keyshttp has handlers for managing keys.
//
// # The trail
//
// With [Options.Trail], each change of a key or a client adds an [Entry] to the
// trail of its organization, in the same transaction: who made which change, when,
// and from where. [Refusals] adds how often requests were refused. [Manager.Entries]
// reads a trail, and [Manager.VerifyTrail] verifies that it is as it was written.
//
// # Promises
//
// After [Manager.Revoke] has returned, no check that starts later accepts the
// credential. An ID is never issued twice. A store that fails lets nobody in.
// Text that no format accepts costs no store read; a well-formed unknown
// credential costs one read and one hash.
//
// The program examples/quickstart protects a handler, and examples/partnerapi is a whole
// host.
package keys
