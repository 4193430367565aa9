package browsertest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// A host is the partner API as a process.
type host struct {
	URL, Key string
}

var (
	binary = sync.OnceValues(func() (string, error) {
		dir, err := os.MkdirTemp("", "partnerapi")
		if err != nil {
			return "", err
		}
		shared.Lock()
		stop = append(stop, func() { _ = os.RemoveAll(dir) })
		shared.Unlock()
		path := filepath.Join(dir, "partnerapi")
		cmd := exec.Command("go", "build", "-o", path, ".")
		cmd.Dir, cmd.Env = "..", append(os.Environ(), "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%w: %s", err, out)
		}
		return path, nil
	})
	keyLine  = regexp.MustCompile(`^(vck_live_\S+)$`)
	addrLine = regexp.MustCompile(`address=(\S+)`)
)

// start starts the partner API, with a key of the organization acme, and a trail.
func start(t *testing.T) host {
	t.Helper()
	if _, err := browser(); err != nil {
		need(t, "a browser", err)
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-addr", "127.0.0.1:0", "-trail")
	endWithParent(cmd)
	out, err1 := cmd.StdoutPipe()
	log, err2 := cmd.StderrPipe()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return host{Key: wait(t, out, keyLine), URL: "http://" + wait(t, log, addrLine)}
}

// wait reads lines until one matches, and returns what it matches. It goes on
// reading, so that the writer does not block.
func wait(t *testing.T, r io.Reader, want *regexp.Regexp) string {
	t.Helper()
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if m := want.FindStringSubmatch(lines.Text()); m != nil {
			go func() { _, _ = io.Copy(io.Discard, r) }()
			return m[1]
		}
	}
	t.Fatal("the partner API did not start")
	return ""
}

// signIn opens a tab that is signed in with a key.
func (h host) signIn(t *testing.T, key string) *tab {
	t.Helper()
	p := open(t, h.URL)
	p.visit("/manage/")
	p.fill("key", key)
	p.click("Sign in", 200)
	return p
}

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
