package main

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/storetest/servers"
)

// findings returns what check finds, by matter.
func findings(t *testing.T, r result) map[string][]finding {
	t.Helper()
	all := make(map[string][]finding)
	for line := range strings.Lines(r.out) {
		f := read[finding](t, line)
		all[f.Matter] = append(all[f.Matter], f)
	}
	return all
}

// results returns the results on a matter in a word each.
func results(all []finding) string {
	var words []string
	for _, f := range all {
		words = append(words, f.Result)
	}
	return strings.Join(words, " ")
}

func TestCheckFindsNothing(t *testing.T) {
	onStores(t, func(t *testing.T, h *host) {
		h.must(exitDone, "migrate")
		h.create("keys", "create", "-org", "acme")
		all := findings(t, h.must(exitDone, "check", "-json"))
		for _, matter := range []string{"configuration", "server", "settings", "clock", "caches", "keys"} {
			if results(all[matter]) != ok {
				t.Errorf("%s: %v", matter, all[matter])
			}
		}
	})
}

// TestCheckNamesCaches has a cache that is announced.
func TestCheckNamesCaches(t *testing.T) {
	t.Parallel()
	h := postgresHost(t)
	h.must(exitDone, "migrate")
	feed := h.session().store.(keys.Feed)
	if err := feed.Announce(t.Context(), "a cache", time.Second); err != nil {
		t.Fatal(err)
	}
	if all := findings(t, h.must(exitDone, "check", "-json")); !strings.Contains(all["caches"][0].Detail, "is 1s, so calls that revoke, change or rotate take 1.2s") {
		t.Errorf("%v", all["caches"])
	}
}

// TestCheckNamesOtherHosts has a configuration that is not that of the store.
func TestCheckNamesOtherHosts(t *testing.T) {
	onStores(t, func(t *testing.T, h *host) {
		h.must(exitDone, "migrate")
		h.create("keys", "create", "-org", "acme")
		h.write("config.json", strings.Replace(readText(t, h.path("config.json")), "vck_", "abc_", 1))
		r := h.must(exitUnfit, "check", "-json")
		if all := findings(t, r); results(all["keys"]) != wrong || !strings.Contains(all["keys"][0].Detail, "1 of the first 1 key") {
			t.Errorf("%s", r.out)
		}
		h.write("config.json", strings.Replace(readText(t, h.path("config.json")), "abc_", "oauth_", 1))
		if all := findings(t, h.must(exitUnfit, "check", "-json")); results(all["configuration"]) != wrong {
			t.Errorf("%v", all)
		}
	})
}

// TestCheckFindsWhatIsWrong has servers that are not fit.
func TestCheckFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	t.Run("no tables", func(t *testing.T) {
		t.Parallel()
		r := postgresHost(t).must(exitUnfit, "check", "-json")
		if all := findings(t, r); results(all["settings"]) != wrong || !strings.Contains(all["settings"][0].Detail, "unfit tables") {
			t.Errorf("%s", r.out)
		}
	})
	t.Run("newer tables", func(t *testing.T) {
		t.Parallel()
		h := postgresHost(t)
		h.must(exitDone, "migrate")
		schema := read[map[string]any](t, readText(t, h.path("config.json")))["schema"].(string)
		if _, err := pool(t).Exec(t.Context(), "INSERT INTO "+schema+".migrations (version) VALUES (99)"); err != nil {
			t.Fatal(err)
		}
		h.must(exitUnfit, "check")
		h.must(exitUnfit, "migrate", "-plan")
		h.must(exitUnfit, "migrate")
		h.must(exitFailure, "keys", "list", "-org", "acme")
	})
	t.Run("no fsync", func(t *testing.T) {
		if testing.Short() {
			t.Skip("it needs a server of its own")
		}
		t.Parallel()
		server, err := servers.Postgres("fsync=off")
		servers.Require(t, err)
		t.Cleanup(func() { _ = server.Close() })
		h := newHost(t, server.DSN, nil)
		h.must(exitDone, "migrate")
		r := h.must(exitUnfit, "check", "-json")
		if all := findings(t, r); results(all["settings"]) != wrong || !strings.Contains(all["settings"][0].Detail, "fsync") {
			t.Errorf("%s", r.out)
		}
		h.create("keys", "create", "-org", "acme") // works all the same
	})
	t.Run("a cache of a server", func(t *testing.T) {
		t.Parallel()
		server, err := servers.Redis("--appendonly", "no", "--maxmemory-policy", "allkeys-lru")
		servers.Require(t, err)
		t.Cleanup(func() { _ = server.Close() })
		h := newHost(t, server.DSN, nil)
		if all := findings(t, h.must(exitUnfit, "check", "-json")); results(all["settings"]) != "wrong wrong" {
			t.Errorf("%v", all["settings"])
		}
		if all := findings(t, h.must(exitUnfit, "check", "-limits", "-json")); results(all["settings"]) != "wrong" {
			t.Errorf("limits alone: %v", all["settings"])
		}
	})
	t.Run("a server that tells nothing", func(t *testing.T) {
		t.Parallel()
		server, err := servers.Redis("--rename-command", "CONFIG", "")
		servers.Require(t, err)
		t.Cleanup(func() { _ = server.Close() })
		if all := findings(t, newHost(t, server.DSN, nil).must(exitDone, "check", "-json")); results(all["settings"]) != warning {
			t.Errorf("%v", all["settings"])
		}
	})
}

// A skewed database has a clock that is off.
type skewed struct {
	database
	by    time.Duration
	takes time.Duration // a question, with the answer in the middle
	asked int
}

func (s *skewed) now(context.Context) (time.Time, error) {
	s.asked++
	time.Sleep(s.takes / 2)       // on the test's own clock
	defer time.Sleep(s.takes / 2) // on the test's own clock
	return time.Now().Add(s.by), nil
}

func TestCheckComparesClocks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		by, takes time.Duration
		result    string
		detail    string
	}{
		{0, 0, ok, "the server is 0s "},
		{-3 * time.Second, 0, warning, "the server is 3s behind this machine, give or take 0s"},
		{90 * time.Second, 0, warning, "the server is 1m30s ahead of this machine, give or take 0s"},
		{900 * time.Millisecond, 0, ok, "the server is 900ms ahead of this machine, give or take 0s"},
		{900 * time.Millisecond, 4 * time.Second, ok, "the server is 900ms ahead of this machine, give or take 2s"},
	} {
		synctest.Test(t, func(t *testing.T) {
			db := &skewed{by: tt.by, takes: tt.takes}
			got := (&session{db: db}).checkClock(t.Context())
			if got.Result != tt.result || !strings.HasPrefix(got.Detail, tt.detail) || db.asked != 3 {
				t.Errorf("%v: %v after %d questions, want %q", tt.by, got, db.asked, tt.detail)
			}
		})
	}
}

func TestMigrate(t *testing.T) {
	onStores(t, func(t *testing.T, h *host) {
		redis := strings.HasPrefix(h.url, "unix:")
		if r := h.run("", "migrate", "-plan", "-json"); (r.code == exitUnfit) == redis || !strings.Contains(r.out, `{"done":false,"steps":[`) {
			t.Errorf("before: exit code %d: %s%s", r.code, r.out, r.err)
		}
		if r := h.run("", "keys", "list", "-org", "acme"); (r.code == exitFailure) == redis || !redis && !strings.Contains(r.err, "migrate") {
			t.Errorf("without tables: exit code %d: %s", r.code, r.err)
		}
		first := h.must(exitDone, "migrate").out
		if strings.Contains(first, "done: ") == redis {
			t.Errorf("the first time: %s", first)
		}
		if got := h.must(exitDone, "migrate").out; got != "up to date\n" {
			t.Errorf("the second time: %s", got)
		}
		if got := h.must(exitDone, "migrate", "-plan").out; got != "up to date\n" {
			t.Errorf("the plan: %s", got)
		}
	})
}
