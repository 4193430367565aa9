package leaks_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/leaks"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

// env is an endpoint over a store whose faults a test can choose, with a key of the
// test's in place of GitHub's.
type env struct {
	t       *testing.T
	faults  *storetest.Faults
	manager *keys.Manager
	private *ecdsa.PrivateKey
	handler *leaks.Handler
	events  []keys.Event
	log     bytes.Buffer
}

func newEnv(t *testing.T, policy func(*keys.Manager) leaks.Policy) *env {
	t.Helper()
	e := &env{t: t, faults: storetest.NewFaults(new(store.Memory)), private: newKey(t)}
	hook := func(ctx context.Context, event keys.Event) {
		e.events = append(e.events, event)
		keys.LogEvents(slog.New(slog.NewTextHandler(&e.log, nil)))(ctx, event)
	}
	catalog := scopes.MustCatalog(scopes.Scope{Name: "identity:read", Status: scopes.Always})
	var err error
	if e.manager, err = keys.NewManager(e.faults, &keys.Options{Catalog: catalog, Hook: hook}); err != nil {
		t.Fatal(err)
	}
	public := leaks.PublicKeys{"one": &e.private.PublicKey}
	e.handler, err = leaks.NewHandler(e.manager.Verifier(), public.Key, policy(e.manager), &leaks.Options{
		MaxBody: 64 << 10, Hook: hook, Logger: slog.New(slog.NewTextHandler(&e.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// tell is the policy that does nothing.
func tell(*keys.Manager) leaks.Policy { return nil }

func (e *env) key() keys.Issued {
	e.t.Helper()
	issued, err := e.manager.Create(e.t.Context(), "acme", keys.Spec{})
	if err != nil {
		e.t.Fatal(err)
	}
	return issued
}

// report returns the body of a report about some credentials.
func report(tokens ...string) string {
	type match struct {
		Token  string `json:"token"`
		Type   string `json:"type"`
		URL    string `json:"url"`
		Source string `json:"source"`
	}
	matches := []match{}
	for _, token := range tokens {
		matches = append(matches, match{token, "acme_key", "https://example.com/file", "commit"})
	}
	body, _ := json.Marshal(matches)
	return string(body)
}

// sign returns a signature of a body.
func sign(t *testing.T, key *ecdsa.PrivateKey, body string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(body))
	der, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

// signedRequest returns a request with a report that the right key has signed.
func (e *env) signedRequest(body string) *http.Request {
	e.t.Helper()
	r := httptest.NewRequest("POST", "/leaks", strings.NewReader(body))
	r.Header.Set("Github-Public-Key-Identifier", "one")
	r.Header.Set("Github-Public-Key-Signature", sign(e.t, e.private, body))
	return r
}

func (e *env) send(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	e.handler.ServeHTTP(w, r)
	return w
}

// answer is what the answer to a report must be.
func answer(labels ...[2]string) string {
	var parts []string
	for _, l := range labels {
		sum := sha256.Sum256([]byte(l[0]))
		parts = append(parts, `{"token_hash":"`+hex.EncodeToString(sum[:])+`","token_type":"acme_key","label":"`+l[1]+`"}`)
	}
	return "[" + strings.Join(parts, ",") + "]\n"
}

// told returns the types of the events since it was last called.
func (e *env) told() (types []string) {
	for _, event := range e.events {
		types = append(types, event.Type.String())
	}
	e.events = nil
	return types
}
