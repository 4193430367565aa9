// Package scopes holds OAuth 2.0 scopes as values.
//
// A [Set] is an immutable, canonical set of scope tokens as RFC 6749 §3.3
// defines them. Two sets with the same members are equal under ==, so a Set
// can be a map key or a struct field that is compared. Scope tokens are
// opaque and case-sensitive: "keys:*" matches "keys:*" and nothing else.
//
// A [Catalog] lists the scopes that a host knows. The host declares it once, at
// start-up: scopes that credentials can ask for, scopes that every credential
// holds, and scopes whose names are reserved for later. [Catalog.Grant] turns the
// names in a request into the set that a new credential gets. If some names cannot
// be granted, its error lists them.
//
// The program examples/partnerapi has a catalog with scopes of each kind.
package scopes
