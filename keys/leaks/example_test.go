package leaks_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/leaks"
	"github.com/claviger-auth/claviger/store"
)

// must is for examples, whose errors are mistakes in the example.
func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

// A host that writes to the owner of a leaked key and then revokes it.
func Example() {
	manager := must(keys.NewManager(new(store.Memory), nil))
	revoke := leaks.Revoke(manager)
	policy := func(ctx context.Context, f leaks.Finding) error {
		fmt.Printf("to %s: your %s was found in %s\n", f.Org, f.Kind, f.URL)
		return revoke(ctx, f)
	}
	// A host has GitHub's keys from leaks.ParsePublicKeys. This one signs for itself.
	github := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	public := leaks.PublicKeys{"example": &github.PublicKey}
	mux := http.NewServeMux()
	mux.Handle("POST /leaks", must(leaks.NewHandler(manager.Verifier(), public.Key, policy, nil)))

	key := must(manager.Create(context.Background(), "acme", keys.Spec{})).Text.Reveal()
	body := fmt.Sprintf(`[{"token":%q,"type":"acme_key","url":"https://github.com/acme/shop/blob/main/.env","source":"commit"}]`, key)
	sum := sha256.Sum256([]byte(body))
	r := httptest.NewRequest("POST", "/leaks", strings.NewReader(body))
	r.Header.Set("Github-Public-Key-Identifier", "example")
	r.Header.Set("Github-Public-Key-Signature", base64.StdEncoding.EncodeToString(must(ecdsa.SignASN1(rand.Reader, github, sum[:]))))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)

	fmt.Println(w.Code, strings.Contains(w.Body.String(), `"label":"true_positive"`))
	_, err := manager.Verifier().Verify(context.Background(), key)
	fmt.Println(err)
	// Output:
	// to acme: your key was found in https://github.com/acme/shop/blob/main/.env
	// 200 true
	// keys: credential was revoked
}
