package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store/storetest/servers"
)

// TestStores runs the program over each durable store: what was made before it
// was stopped is good after it was started again, and two processes that share
// a store see each other's revocations and share a limit.
func TestStores(t *testing.T) {
	t.Parallel()
	sqlite := func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "claviger.db") }
	postgres := func(t *testing.T) string {
		s, err := servers.Postgres()
		servers.Require(t, err)
		t.Cleanup(func() { _ = s.Close() })
		return s.DSN
	}
	redis := func(t *testing.T) string {
		s, err := servers.Redis()
		servers.Require(t, err)
		t.Cleanup(func() { _ = s.Close() })
		return s.DSN
	}
	for _, tt := range []struct {
		name   string
		open   func(t *testing.T) string
		flags  []string
		shared bool // the limits
	}{
		{"sqlite", sqlite, nil, false},
		{"sqlite with limits", sqlite, []string{"-limits", "store", "-cache", "100ms"}, true},
		{"postgres", postgres, nil, true},
		{"postgres with leases", postgres, []string{"-limits", "leased", "-cache", "100ms"}, true},
		{"redis", redis, nil, true},
		{"redis with leases", redis, []string{"-limits", "leased", "-cache", "100ms"}, true},
	} {
		if testing.Short() && !strings.HasPrefix(tt.name, "sqlite") {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dsn := tt.open(t)
			start := func(more ...string) ([]string, func() error) {
				return start(t, slices.Concat([]string{"-store", dsn}, tt.flags, more)...)
			}
			printed, stop := start()
			key, _ := keyAndURL(t, printed)
			if err := stop(); err != nil {
				t.Fatalf("stopped with %v", err)
			}
			printed, stop = start("-bootstrap")
			defer stop()
			second, url2 := keyAndURL(t, printed)
			if status := get(t, url2+"/api/v1/partner/me", key); status != 200 {
				t.Fatalf("after a restart: %d", status)
			}

			printed, stopOther := start("-org", "globex")
			defer stopOther()
			_, other := keyAndURL(t, printed)
			if status := get(t, other+"/v1/chain", key); status != 200 {
				t.Fatalf("on the other process: %d", status)
			}
			id, _, _ := strings.Cut(key, ".")
			req, err := http.NewRequestWithContext(t.Context(), "DELETE", url2+"/v1/keys/"+id, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+second)
			resp, err := http.DefaultClient.Do(req)
			if err != nil || resp.StatusCode != 204 {
				t.Fatalf("%v, %v", resp, err)
			}
			resp.Body.Close()
			for _, base := range []string{url2, other} {
				if status := get(t, base+"/v1/chain", key); status != 401 {
					t.Errorf("after the revocation: %d", status)
				}
			}
			if !tt.shared {
				return // limits are each process's own
			}
			slow := createKey(t, url2, second, `{"rate_limit_per_minute":60}`)
			admitted, refused := 0, 0
			for i := range 200 {
				switch status := get(t, [2]string{url2, other}[i%2]+"/v1/chain", slow); status {
				case 200:
					admitted++
				case 429:
					refused++
				default:
					t.Fatalf("status %d", status)
				}
			}
			// Some come back while the test runs: one a second.
			if refused == 0 {
				t.Errorf("both together admitted %d, and refused none", admitted)
			}
		})
	}
}

// createKey makes a key as body says, and returns it.
func createKey(t *testing.T, base, caller, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", base+"/v1/keys", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+caller)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var made struct {
		Key string `json:"key"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&made); err != nil || made.Key == "" {
		t.Fatalf("a key was not made: %d, %v", resp.StatusCode, err)
	}
	return made.Key
}

// TestLimitsAlone keeps records here, and limits on a Redis server that would
// forget records if it ended.
func TestLimitsAlone(t *testing.T) {
	t.Parallel()
	s, err := servers.Redis("--appendonly", "no")
	servers.Require(t, err)
	defer s.Close()
	if err := run(t.Context(), []string{"-addr", "127.0.0.1:0", "-store", s.DSN}, io.Discard, io.Discard); err == nil {
		t.Error("records on a server that is not durable were accepted")
	}
	_, stop := start(t, "-store", "memory", "-limits", s.DSN)
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestLeasesOfAnotherStore keeps records in each process, and limits with leases in a
// file that both share.
func TestLeasesOfAnotherStore(t *testing.T) {
	t.Parallel()
	c := config{store: "memory", limits: "leased:sqlite:" + filepath.Join(t.TempDir(), "limits.db")}
	limit, err := ratelimit.PerMinute(600)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, false} {
		s, err := openStores(t.Context(), c, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		d, err := s.limits.Take(t.Context(), ratelimit.Bucket{Space: "org", Name: "acme"}, limit, time.Now(), 600)
		if _, leased := s.limits.(*ratelimit.Leases); !leased || err != nil || d.Allowed != want || s.sweepBuckets == nil {
			t.Errorf("process %d: %T, %+v, %v", i+1, s.limits, d, err)
		}
	}
}

// keyAndURL returns the key and the base URL that the program printed.
func keyAndURL(t *testing.T, printed []string) (key, url string) {
	t.Helper()
	for _, line := range printed {
		if strings.HasPrefix(line, "vck_") {
			key = line
		}
		if i := strings.Index(line, "http://"); i >= 0 && url == "" {
			url, _, _ = strings.Cut(line[i:], "/api/")
		}
	}
	if key == "" || url == "" {
		t.Fatalf("printed %q", printed)
	}
	return key, url
}

// get sends a request and returns the status.
func get(t *testing.T, url, key string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}
