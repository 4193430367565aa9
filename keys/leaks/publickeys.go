package leaks

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
)

// ErrUnknownKey reports an identifier that is not that of a public key of GitHub.
var ErrUnknownKey = errors.New("leaks: no public key with this identifier")

// A KeyFunc returns the public key with the given identifier. If GitHub has no such key,
// it returns an error that wraps [ErrUnknownKey]. With any other error the report is
// answered 503. A KeyFunc must be safe for concurrent use.
//
// The identifier comes from a request whose signature is not checked yet. A function
// that fetches keys must not do so for every unknown identifier, but at most once in a
// few minutes.
type KeyFunc func(ctx context.Context, id string) (*ecdsa.PublicKey, error)

// PublicKeys are GitHub's public keys by their identifiers. The method Key is a
// [KeyFunc].
type PublicKeys map[string]*ecdsa.PublicKey

// Key returns the key with an identifier, or [ErrUnknownKey].
func (k PublicKeys) Key(_ context.Context, id string) (*ecdsa.PublicKey, error) {
	key := k[id]
	if key == nil {
		return nil, ErrUnknownKey
	}
	return key, nil
}

// ParsePublicKeys reads the document that GitHub serves at
// https://api.github.com/meta/public_keys/secret_scanning. The host fetches it; this
// package makes no requests. The error says which key is not on the curve P-256, or that
// there are no keys.
func ParsePublicKeys(document []byte) (PublicKeys, error) {
	var list struct {
		Keys []struct {
			ID  string `json:"key_identifier"`
			Key string `json:"key"`
		} `json:"public_keys"`
	}
	if err := json.Unmarshal(document, &list); err != nil {
		return nil, fmt.Errorf("leaks: public keys: %w", err)
	}
	all := make(PublicKeys, len(list.Keys))
	for _, k := range list.Keys {
		key, err := parsePublicKey(k.Key)
		if err != nil {
			return nil, fmt.Errorf("leaks: public key %q: %w", k.ID, err)
		}
		all[k.ID] = key
	}
	if len(all) == 0 {
		return nil, errors.New("leaks: the document has no public keys")
	}
	return all, nil
}

func parsePublicKey(text string) (*ecdsa.PublicKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("not in PEM")
	}
	any, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := any.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("not of the curve P-256")
	}
	return key, nil
}

// signed reports whether signature is that of body under key: ECDSA over the SHA-256 of
// its bytes, in ASN.1 and base64.
func signed(key *ecdsa.PublicKey, body []byte, signature string) bool {
	der, err := base64.StdEncoding.DecodeString(signature)
	if err != nil || key.Curve != elliptic.P256() {
		return false
	}
	hash := sha256.Sum256(body)
	return ecdsa.VerifyASN1(key, hash[:], der)
}
