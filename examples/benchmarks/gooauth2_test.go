package benchmarks_test

import (
	"context"
	"net/http"
	"reflect"
	"testing"

	"github.com/go-oauth2/oauth2/v4/manage"
	"github.com/go-oauth2/oauth2/v4/models"
	"github.com/go-oauth2/oauth2/v4/server"
	"github.com/go-oauth2/oauth2/v4/store"
	"github.com/tidwall/buntdb"
)

// goOAuth2Endpoint is the token endpoint that go-oauth2's documentation shows,
// over its stores in memory. It keeps the client's secret and its tokens as they
// are.
func goOAuth2Endpoint() (tokenEndpoint, *server.Server) {
	manager := manage.NewDefaultManager()
	tokens := must(store.NewMemoryTokenStore())
	manager.MapTokenStorage(tokens)
	clients := store.NewClientStore()
	id, secret := "client", clientSecret()
	if err := clients.Set(id, &models.Client{ID: id, Secret: secret}); err != nil {
		panic(err)
	}
	manager.MapClientStorage(clients)
	srv := server.NewDefaultServer(manager)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := srv.HandleTokenRequest(w, r); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	// The store cannot be closed, and would be kept by a goroutine of its
	// database's for as long as the program runs.
	db := (*buntdb.DB)(reflect.ValueOf(tokens).Elem().FieldByName("db").UnsafePointer())
	good := func(token string) bool {
		_, err := manager.LoadAccessToken(context.Background(), token)
		return err == nil
	}
	return tokenEndpoint{handler: h, id: id, secret: secret, good: good, close: func() { _ = db.Close() }}, srv
}

type tokenInfoKey struct{}

// goOAuth2Path is a host's middleware around go-oauth2's check of a bearer
// token, which looks it up and checks its expiry. Scopes are for the host to
// check.
func goOAuth2Path(tb testing.TB, _ bool) path {
	endpoint, srv := goOAuth2Endpoint()
	tb.Cleanup(endpoint.close)
	token := endpoint.token()
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, err := srv.ValidationBearerToken(r)
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		nothing.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), tokenInfoKey{}, info)))
	})
	return path{h, bearer(token), bearer(damaged(token)), http.StatusUnauthorized}
}

// oauthAuthenticators are the servers whose tokens are looked up.
var oauthAuthenticators = []pathImpl{
	{"fosite", fositePath},
	{"go-oauth2", goOAuth2Path},
}
