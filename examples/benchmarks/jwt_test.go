package benchmarks_test

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	jwtmiddleware "github.com/auth0/go-jwt-middleware/v3"
	"github.com/auth0/go-jwt-middleware/v3/validator"
	"github.com/go-chi/jwtauth/v5"
)

// Signed tokens carry their claims, and are good until they expire: nothing is
// looked up, and nothing can be revoked. That is another bargain than Claviger's;
// the figures say what its check costs.
const (
	jwtIssuer   = "https://auth.example.com/"
	jwtAudience = "api"
)

// signed returns a JWT (RFC 7519) that is good for a day.
func signed(alg string, sign func(input []byte) []byte) string {
	now := time.Now().Unix()
	header := must(json.Marshal(map[string]string{"alg": alg, "typ": "JWT"}))
	claims := must(json.Marshal(map[string]any{
		"iss": jwtIssuer, "aud": jwtAudience, "sub": org, "scope": scope, "iat": now, "nbf": now, "exp": now + 86_400,
	}))
	encode := base64.RawURLEncoding.EncodeToString
	input := encode(header) + "." + encode(claims)
	return input + "." + encode(sign([]byte(input)))
}

// damaged returns a token whose signature has one character that differs.
func damaged(token string) string {
	b := []byte(token)
	if i := len(b) - 10; b[i] == 'A' {
		b[i] = 'B'
	} else {
		b[i] = 'A'
	}
	return string(b)
}

func hs256(secret []byte) string {
	return signed("HS256", func(input []byte) []byte {
		mac := hmac.New(sha256.New, secret)
		mac.Write(input)
		return mac.Sum(nil)
	})
}

func rs256(key *rsa.PrivateKey) string {
	return signed("RS256", func(input []byte) []byte {
		sum := sha256.Sum256(input)
		return must(rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:]))
	})
}

// auth0 returns the middleware of auth0: signature, issuer, audience and times,
// with the claims in the context. Its scopes are for the host to check.
func auth0(alg validator.SignatureAlgorithm, key any, token string) path {
	v := must(validator.New(
		validator.WithKeyFunc(func(context.Context) (any, error) { return key, nil }),
		validator.WithAlgorithm(alg),
		validator.WithIssuer(jwtIssuer),
		validator.WithAudience(jwtAudience),
	))
	m := must(jwtmiddleware.New(jwtmiddleware.WithValidator(v)))
	return path{m.CheckJWT(nothing), bearer(token), bearer(damaged(token)), http.StatusUnauthorized}
}

var jwtAuthenticators = []pathImpl{
	{"auth0-hs256", func(testing.TB, bool) path {
		secret := []byte(rand.Text() + rand.Text())
		return auth0(validator.HS256, secret, hs256(secret))
	}},
	{"auth0-rs256", func(testing.TB, bool) path {
		key := must(rsa.GenerateKey(rand.Reader, 2048))
		return auth0(validator.RS256, &key.PublicKey, rs256(key))
	}},
	// The two middlewares of jwtauth: signature and times, with the token in
	// the context. Its scopes are for the host to check.
	{"chi-jwtauth", func(testing.TB, bool) path {
		secret := []byte(rand.Text() + rand.Text())
		ja, token := jwtauth.New("HS256", secret, nil), hs256(secret)
		h := jwtauth.Verifier(ja)(jwtauth.Authenticator(ja)(nothing))
		return path{h, bearer(token), bearer(damaged(token)), http.StatusUnauthorized}
	}},
}

// authenticators check credentials, and limit nothing.
var authenticators = concat(oauthAuthenticators, jwtAuthenticators)
