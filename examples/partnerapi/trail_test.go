package main

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/sqlitestore"
)

// call makes a request, and returns the members of the answer that are text.
func call(t *testing.T, method, url, key, body string, status int) map[string]string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != status {
		t.Fatalf("%s %s: %d", method, url, resp.StatusCode)
	}
	answer := make(map[string]any)
	_ = json.NewDecoder(resp.Body).Decode(&answer) // some have no body
	texts := make(map[string]string)
	for name, value := range answer {
		texts[name], _ = value.(string)
	}
	return texts
}

// With -trail, what requests do is in the trail of the organization, with who made
// them and from where, and so is what was refused.
func TestTrail(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "claviger.db")
	printed, stop := start(t, "-store", "sqlite:"+path, "-trail")
	key, base := keyAndURL(t, printed)
	created := call(t, "POST", base+"/v1/keys", key, `{"label":"export"}`, http.StatusCreated)
	call(t, "DELETE", base+"/v1/keys/"+created["key_id"], key, "", http.StatusNoContent)
	admin, _, _ := strings.Cut(key, ".")
	for range 3 {
		if status := get(t, base+"/v1/chain", created["key"]); status != http.StatusUnauthorized {
			t.Errorf("a revoked key: %d", status)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	s, err := sqlitestore.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	m, err := keys.NewManager(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	named := strings.NewReplacer(admin, "ADMIN", created["key_id"], "KEY")
	var got []string
	for e, err := range m.Entries(t.Context(), "acme", "", 0) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, named.Replace(strings.Join([]string{string(e.Action), e.ID, e.Actor, e.AddressText(), e.Reason}, " ")))
	}
	want := []string{
		"created ADMIN host:bootstrap  ", "created KEY ADMIN 127.0.0.1 ", "revoked KEY ADMIN 127.0.0.1 ", "refused KEY  127.0.0.1 revoked",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
	if _, err := m.VerifyTrail(t.Context(), "acme"); err != nil {
		t.Error(err)
	}
}
