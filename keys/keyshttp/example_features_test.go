package keyshttp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/keys/keyshttp"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
)

// signedIn stands for what protects the routes. Here all requests come from one
// user.
func signedIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		anna := keys.Principal{Org: "acme", ID: "anna", RateLimit: 600, Scopes: scopes.MustParse("webhooks:manage")}
		next.ServeHTTP(w, r.WithContext(keys.NewContext(r.Context(), anna)))
	})
}

// newManager returns a manager over an empty store.
func newManager() *keys.Manager {
	return must(keys.NewManager(new(store.Memory), &keys.Options{Catalog: scopes.MustCatalog(scopes.Scope{Name: "webhooks:manage"})}))
}

// newService returns a service that manages keys for the user who is signed in.
func newService(manager *keys.Manager) http.Handler {
	handler := must(keyshttp.NewHandler(manager, nil))
	mux := http.NewServeMux()
	handler.Register(mux, "/v1/keys", signedIn)
	return mux
}

// send sends a request, and returns the members of the answer.
func send(h http.Handler, method, path, body string) map[string]any {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	answer := map[string]any{"status": w.Code}
	_ = json.Unmarshal(w.Body.Bytes(), &answer) // an answer of 204 has no body
	return answer
}

// A host lets its users manage the keys of their organizations, with the sessions that
// it has already.
func ExampleHandler_Register() {
	handler := must(keyshttp.NewHandler(newManager(), nil))
	sessions := map[string]keys.Principal{
		"c00kie": {Org: "acme", ID: "anna", Scopes: scopes.MustParse("webhooks:manage"), RateLimit: 600},
	}
	withSession := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			cookie, err := r.Cookie("session")
			if err != nil {
				cookie = new(http.Cookie)
			}
			user, ok := sessions[cookie.Value]
			if !ok {
				http.Error(w, "please sign in", http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r.WithContext(keys.NewContext(r.Context(), user)))
		})
	}
	// Cookies need protection against requests from other sites.
	crossOrigin := http.NewCrossOriginProtection()
	mux := http.NewServeMux()
	handler.Register(mux, "/account/keys", func(next http.Handler) http.Handler {
		return crossOrigin.Handler(withSession(next))
	})

	for _, cookie := range []string{"", "c00kie"} {
		r := httptest.NewRequest("GET", "/account/keys", nil)
		r.AddCookie(&http.Cookie{Name: "session", Value: cookie})
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// 401 please sign in
	// 200 {"keys":[]}
}

// Refusals in the form of RFC 9457.
func ExampleOptions() {
	handler := must(keyshttp.NewHandler(newManager(), &keyshttp.Options{WriteError: httpjson.WriteProblem}))
	mux := http.NewServeMux()
	handler.Register(mux, "/v1/keys", signedIn)
	mux.Handle("/", httpjson.NotFound(httpjson.WriteProblem))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/v1/keys/key_unknown", nil))
	fmt.Println(w.Header().Get("Content-Type"))
	fmt.Print(w.Body)
	// Output:
	// application/problem+json
	// {"type":"about:blank","title":"Not Found","status":404,"detail":"there is no such resource","error":"not_found"}
}

// A key is replaced without an interruption: for an hour, both keys are good.
func Example_rotation() {
	service := newService(newManager())
	old := send(service, "POST", "/v1/keys", `{"label":"CI"}`)
	path := fmt.Sprint("/v1/keys/", old["key_id"])

	next := send(service, "POST", path+"/rotate", `{"overlap":3600}`)
	fmt.Println(next["status"], next["label"], next["replaces"] == old["key_id"], next["expires_at"])

	old = send(service, "GET", path, "")
	fmt.Println(old["replaced_by"] == next["key_id"], old["expires_at"] != nil)

	// The end of a key that has a successor cannot be changed.
	fmt.Println(send(service, "PATCH", path, `{"expires_in":86400}`))
	// Output:
	// 201 CI true <nil>
	// true true
	// map[error:conflict error_description:the key has a successor, which has an end of its own status:409]
}

// A key that may have leaked is paused until it is known whether it has.
func Example_pause() {
	manager := newManager()
	service := newService(manager)
	made := send(service, "POST", "/v1/keys", `{"label":"CI"}`)
	path := fmt.Sprint("/v1/keys/", made["key_id"])
	check := func() {
		_, err := manager.Verifier().Verify(context.Background(), made["key"].(string))
		fmt.Println(err)
	}
	send(service, "PATCH", path, `{"disabled":true}`)
	check()
	send(service, "PATCH", path, `{"disabled":false}`)
	check()
	// Output:
	// keys: credential is paused
	// <nil>
}

// A key has leaked, and somebody may have made other keys with it. One call ends all of
// them.
func Example_descendants() {
	manager := newManager()
	service := newService(manager)
	leaked := send(service, "POST", "/v1/keys", `{"label":"leaked"}`)
	send(service, "POST", "/v1/keys", `{"label":"other"}`)

	// What a request with the leaked key would do.
	thief := must(manager.Verifier().Verify(context.Background(), leaked["key"].(string)))
	must(manager.As(thief).Create(context.Background(), keys.Spec{Label: "thief's"}))

	count := func() int { return len(send(service, "GET", "/v1/keys", "")["keys"].([]any)) }
	fmt.Println(count(), "keys")
	answer := send(service, "DELETE", fmt.Sprint("/v1/keys/", leaked["key_id"], "?descendants=true"), "")
	fmt.Println(answer["status"], count(), "key")
	// Output:
	// 3 keys
	// 204 1 key
}
