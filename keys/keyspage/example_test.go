package keyspage_test

import (
	"context"
	"fmt"
	"html/template"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyspage"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
)

// must is for examples, whose errors are mistakes in the example.
func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

var exampleCatalog = scopes.MustCatalog(scopes.Scope{Name: "orders:read", Description: "Read orders"})

// signedIn stands for the host's own sessions. Here all requests come from one user.
func signedIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user := keys.Principal{Org: "acme", ID: "anna", RateLimit: 600, Scopes: exampleCatalog.Grantable()}
		next.ServeHTTP(w, r.WithContext(keys.NewContext(r.Context(), user)))
	})
}

func Example() {
	manager := must(keys.NewManager(new(store.Memory), &keys.Options{Catalog: exampleCatalog}))
	handler := must(keyspage.NewHandler(manager, &keyspage.Options{Name: "Acme", SignIn: "/login"}))
	mux := http.NewServeMux()
	handler.Register(mux, signedIn)

	must(manager.Create(context.Background(), "acme", keys.Spec{Label: "Nightly export", Scopes: []string{"orders:read"}}))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/manage/keys", nil))
	fmt.Println(w.Code, w.Header().Get("Content-Type"), w.Header().Get("Cache-Control"))
	fmt.Println(strings.Contains(w.Body.String(), "Nightly export"))
	// Output:
	// 200 text/html; charset=utf-8 no-store
	// true
}

// A host puts the pages into its own layout, in its own words.
func ExampleOptions() {
	shell := template.Must(template.New("").Parse(`<html lang="{{.Lang}}"><head><title>{{.Title}} at Acme</title>{{.Head}}</head><body>{{.Body}}</body></html>`))
	words := map[string]string{"Keys": "API-Schlüssel", "en": "de"}
	manager := must(keys.NewManager(new(store.Memory), &keys.Options{Catalog: exampleCatalog}))
	handler := must(keyspage.NewHandler(manager, &keyspage.Options{
		Path:       "/settings/api",
		Layout:     func(w io.Writer, _ *http.Request, page keyspage.Page) error { return shell.Execute(w, page) },
		Stylesheet: "/acme.css",
		Text: func(_ context.Context, format string, args ...any) string {
			if word, ok := words[format]; ok {
				format = word
			}
			return fmt.Sprintf(format, args...)
		},
	}))
	mux := http.NewServeMux()
	handler.Register(mux, signedIn)

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/settings/api/keys", nil))
	title, _, _ := strings.Cut(w.Body.String(), "<meta")
	fmt.Println(title)
	fmt.Println(strings.Contains(w.Body.String(), `<link rel="stylesheet" href="/acme.css">`))
	// Output:
	// <html lang="de"><head><title>API-Schlüssel at Acme</title>
	// true
}
