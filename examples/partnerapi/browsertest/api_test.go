package browsertest

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// api calls the API of a host with a key, and returns the answer.
func (h host) api(t *testing.T, key, method, path, body string) map[string]any {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, h.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer map[string]any
	_ = json.NewDecoder(resp.Body).Decode(&answer)
	if answer == nil {
		answer = make(map[string]any)
	}
	answer["status"] = resp.StatusCode
	return answer
}

// create makes a key through the API, and returns it and its ID.
func (h host) create(t *testing.T, by, body string) (key, id string) {
	t.Helper()
	answer := h.api(t, by, "POST", "/v1/keys", body)
	key, ok := answer["key"].(string)
	if !ok {
		t.Fatalf("%v", answer)
	}
	return key, answer["key_id"].(string)
}

// me returns the status that a key has on a route of the API.
func (h host) me(t *testing.T, key string) int {
	t.Helper()
	return h.api(t, key, "GET", "/api/v1/partner/me", "")["status"].(int)
}

// token gets an access token for a client.
func (h host) token(t *testing.T, id, secret string) string {
	t.Helper()
	resp, err := http.PostForm(h.URL+"/v1/oauth/token", map[string][]string{
		"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return answer.Token
}
