package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLeaks has a key reported, under a signing key of the test's in place of GitHub's.
func TestLeaks(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	github, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&github.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	document, err := json.Marshal(map[string]any{"public_keys": []map[string]string{
		{"key_identifier": "test", "key": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))},
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file, document, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := e.do("POST", "/leaks", "", "[]"); got.status != 404 {
		t.Errorf("without the flag: %d", got.status)
	}
	if err := e.api.acceptReports(file); err != nil {
		t.Fatal(err)
	}
	text := e.key(0).Text.Reveal()
	body := fmt.Sprintf(`[{"token":%q,"type":"partner_key","url":"","source":"commit"}]`, text)
	sum := sha256.Sum256([]byte(body))
	signature, err := ecdsa.SignASN1(rand.Reader, github, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/leaks", strings.NewReader(body))
	r.Header.Set("Github-Public-Key-Identifier", "test")
	r.Header.Set("Github-Public-Key-Signature", base64.StdEncoding.EncodeToString(signature))
	w := httptest.NewRecorder()
	e.api.handler().ServeHTTP(w, r)
	if w.Code != 200 || !strings.Contains(w.Body.String(), "true_positive") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if got := e.do("GET", "/v1/chain", text, ""); got.status != 401 {
		t.Errorf("the key after the report: %d", got.status)
	}
	_, secret, _ := strings.Cut(text, ".")
	if log := e.log.String(); !strings.Contains(log, `msg="credential leaked"`) || strings.Contains(log, secret) {
		t.Errorf("the log:\n%s", log)
	}
}
