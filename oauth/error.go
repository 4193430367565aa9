package oauth

import "github.com/claviger-auth/claviger/keys"

// An Error is an error of the protocol. Code is one of RFC 6749 §5.2 or §4.1.2.1, or of
// RFC 7009 §2.2.1. Description is fixed text within the characters of RFC 6749 §5.2,
// which never repeats what the caller sent.
type Error struct {
	Code        string // "error"
	Description string // "error_description"
}

// Error returns the code and the description.
func (e *Error) Error() string { return "oauth: " + e.Code + ": " + e.Description }

// Errors of a [Server]. Errors that are none of these are the store's.
var (
	// ErrInvalidClient reports credentials that are not those of a live
	// client (RFC 6749 §5.2). It does not say why.
	ErrInvalidClient = &Error{"invalid_client", "The client credentials are not valid."}
	// ErrNoCredentials reports a request without a client ID or a secret.
	ErrNoCredentials = &Error{"invalid_request", "The client_id or the client_secret is missing."}
	// ErrNoGrantType reports a request without a grant type.
	ErrNoGrantType = &Error{"invalid_request", "The grant_type is missing."}
	// ErrUnsupportedGrantType reports a grant type other than
	// client_credentials.
	ErrUnsupportedGrantType = &Error{"unsupported_grant_type", "The grant_type must be client_credentials."}
	// ErrInvalidScope reports a scope that is malformed, or that the client
	// does not have (RFC 6749 §5.2).
	ErrInvalidScope = &Error{"invalid_scope", "The scope is malformed, or exceeds that of the client."}
	// ErrTooManyTokens reports a client that has as many live tokens as it may
	// have, or will soon. The error that wraps it is a [*LimitError].
	ErrTooManyTokens = &Error{"temporarily_unavailable", "The client has too many live tokens. Use them until they expire."}
	// ErrNotIssuedToClient reports the revocation of a token that was issued to
	// another client (RFC 7009 §2.1).
	ErrNotIssuedToClient = &Error{"invalid_grant", "The token was issued to another client."}
	// ErrNotAToken reports the revocation of a live API key, which goes on (RFC 7009
	// §2.2.1). Only those who manage keys revoke them.
	ErrNotAToken = &Error{"unsupported_token_type", "The credential is an API key, which is not revoked here."}
	// ErrNoToken reports a request without the token that it is about.
	ErrNoToken = &Error{"invalid_request", "The token is missing."}
)

// credentialError returns ErrInvalidClient if err says that a credential is not good, or
// may not be used from where it is, and else err itself.
func credentialError(err error) error {
	switch err {
	case keys.ErrMalformed, keys.ErrUnknown, keys.ErrMismatch, keys.ErrExpired, keys.ErrRevoked, keys.ErrPaused, errOutside:
		return ErrInvalidClient
	}
	return err
}
