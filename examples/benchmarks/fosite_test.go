package benchmarks_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"testing"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/storage"
)

// sha256Hasher has fosite keep client secrets as Claviger does. They are random,
// and as long as the hash, so a slow hash protects nothing.
type sha256Hasher struct{}

func (sha256Hasher) Hash(_ context.Context, data []byte) ([]byte, error) {
	sum := sha256.Sum256(data)
	return sum[:], nil
}

func (sha256Hasher) Compare(_ context.Context, hash, data []byte) error {
	sum := sha256.Sum256(data)
	if subtle.ConstantTimeCompare(sum[:], hash) == 0 {
		return errors.New("mismatch")
	}
	return nil
}

// newFosite returns a provider of opaque tokens over fosite's store in memory,
// with one client. A nil hasher is fosite's own: bcrypt with a cost of 12.
func newFosite(hasher fosite.Hasher) (provider fosite.OAuth2Provider, id, secret string) {
	config := &fosite.Config{GlobalSecret: []byte(rand.Text() + rand.Text()), ClientSecretsHasher: hasher}
	id, secret = "client", clientSecret()
	db := storage.NewMemoryStore()
	db.Clients[id] = &fosite.DefaultClient{
		ID: id, Secret: must(config.GetSecretsHasher(context.Background()).Hash(context.Background(), []byte(secret))),
		GrantTypes: []string{"client_credentials"}, Scopes: []string{scope},
	}
	provider = compose.Compose(config, db, compose.NewOAuth2HMACStrategy(config),
		compose.OAuth2ClientCredentialsGrantFactory, compose.OAuth2TokenIntrospectionFactory)
	return provider, id, secret
}

// fositeEndpoint is the token endpoint that fosite's documentation shows.
func fositeEndpoint(hasher fosite.Hasher) (tokenEndpoint, fosite.OAuth2Provider) {
	provider, id, secret := newFosite(hasher)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		request, err := provider.NewAccessRequest(ctx, r, new(fosite.DefaultSession))
		if err != nil {
			provider.WriteAccessError(ctx, w, request, err)
			return
		}
		for _, s := range request.GetRequestedScopes() {
			request.GrantScope(s)
		}
		response, err := provider.NewAccessResponse(ctx, request)
		if err != nil {
			provider.WriteAccessError(ctx, w, request, err)
			return
		}
		provider.WriteAccessResponse(ctx, w, request, response)
	})
	good := func(token string) bool {
		_, _, err := provider.IntrospectToken(context.Background(), token, fosite.AccessToken, new(fosite.DefaultSession), scope)
		return err == nil
	}
	return tokenEndpoint{handler: h, id: id, secret: secret, good: good}, provider
}

type requesterKey struct{}

// fositePath is a host's middleware around fosite's introspection, which checks
// the token's MAC, looks it up, and checks its expiry and the scope.
func fositePath(testing.TB, bool) path {
	endpoint, provider := fositeEndpoint(sha256Hasher{})
	token := endpoint.token()
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		text := fosite.AccessTokenFromRequest(r)
		_, requester, err := provider.IntrospectToken(ctx, text, fosite.AccessToken, new(fosite.DefaultSession), scope)
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		nothing.ServeHTTP(w, r.WithContext(context.WithValue(ctx, requesterKey{}, requester)))
	})
	return path{h, bearer(token), bearer(damaged(token)), http.StatusUnauthorized}
}
