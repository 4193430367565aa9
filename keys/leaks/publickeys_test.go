package leaks_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/leaks"
	"github.com/claviger-auth/claviger/store"
)

// githubKeys is what GitHub served as its public keys in 2024.
const githubKeys = `{"public_keys":[
{"key_identifier":"90a421169f0a406205f1563a953312f0be898d3c7b6c06b681aa86a874555f4a","key":"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9MJJHnMfn2+H4xL4YaPDA4RpJqUq\nkCmRCBnYERxZanmcpzQSXs1X/AljlKkbJ8qpVIW4clayyef9gWhFbNHWAA==\n-----END PUBLIC KEY-----\n","is_current":false},
{"key_identifier":"bcb53661c06b4728e59d897fb6165d5c9cda0fd9cdf9d09ead458168deb7518c","key":"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYAGMWO8XgCamYKMJS6jc/qgvSlAd\nAjPuDPRcXU22YxgBrz+zoN19MzuRyW87qEt9/AmtoNP5GrobzUvQSyJFVw==\n-----END PUBLIC KEY-----\n","is_current":true}]}`

// TestGitHubsOwnExample sends the request of GitHub's documentation, which one of
// GitHub's own keys has signed.
func TestGitHubsOwnExample(t *testing.T) {
	t.Parallel()
	public, err := leaks.ParsePublicKeys([]byte(githubKeys))
	if err != nil {
		t.Fatal(err)
	}
	manager, err := keys.NewManager(new(store.Memory), nil)
	if err != nil {
		t.Fatal(err)
	}
	h, err := leaks.NewHandler(manager.Verifier(), public.Key, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	const body = `[{"source":"commit","token":"some_token","type":"some_type","url":"https://example.com/base-repo-url/"}]`
	for id, want := range map[string]int{
		"bcb53661c06b4728e59d897fb6165d5c9cda0fd9cdf9d09ead458168deb7518c": 200,
		"90a421169f0a406205f1563a953312f0be898d3c7b6c06b681aa86a874555f4a": 403,
	} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Github-Public-Key-Identifier", id)
		r.Header.Set("Github-Public-Key-Signature", "MEQCIQDaMKqrGnE27S0kgMrEK0eYBmyG0LeZismAEz/BgZyt7AIfXt9fErtRS4XaeSt/AO1RtBY66YcAdjxji410VQV4xg==")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: %d %s", id, w.Code, w.Body)
		}
	}
}

func TestParsePublicKeys(t *testing.T) {
	t.Parallel()
	document := func(curve elliptic.Curve) string {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(map[string]any{"public_keys": []map[string]string{
			{"key_identifier": "x", "key": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))},
		}})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	all, err := leaks.ParsePublicKeys([]byte(document(elliptic.P256())))
	if err != nil || all["x"] == nil {
		t.Errorf("%v, %v", all, err)
	}
	if _, err := all.Key(t.Context(), "y"); !errors.Is(err, leaks.ErrUnknownKey) {
		t.Errorf("%v", err)
	}
	for name, text := range map[string]string{
		"empty": "", "no JSON": "junk", "no keys": `{"public_keys":[]}`, "no PEM": `{"public_keys":[{"key":"x"}]}`,
		"no key":        `{"public_keys":[{"key":"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"}]}`,
		"another curve": document(elliptic.P384()),
	} {
		if all, err := leaks.ParsePublicKeys([]byte(text)); err == nil || all != nil {
			t.Errorf("%s: %v, %v", name, all, err)
		}
	}
}

// Public keys that cannot be had now are no reason to call a report forged.
func TestPublicKeysFail(t *testing.T) {
	t.Parallel()
	e := newEnv(t, tell)
	h, err := leaks.NewHandler(e.manager.Verifier(), func(context.Context, string) (*ecdsa.PublicKey, error) { return nil, errors.New("down") }, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, e.signedRequest(report("x")))
	if w.Code != 503 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	// Nobody is asked for a key with an identifier that is too long.
	w, r := httptest.NewRecorder(), e.signedRequest(report("x"))
	r.Header.Set("Github-Public-Key-Identifier", strings.Repeat("x", 129))
	if h.ServeHTTP(w, r); w.Code != 403 {
		t.Errorf("a long identifier: %d %s", w.Code, w.Body)
	}
}

// A public key of another curve is none of GitHub's, whatever it signs.
func TestPublicKeyOfAnotherCurve(t *testing.T) {
	t.Parallel()
	e := newEnv(t, tell)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	e.private = p384
	h, err := leaks.NewHandler(e.manager.Verifier(), leaks.PublicKeys{"one": &p384.PublicKey}.Key, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, e.signedRequest(report("x"))); w.Code != 403 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
