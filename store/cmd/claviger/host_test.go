package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/storetest/servers"
)

// password is that of the servers. No output may hold it.
const password = "pw-hunter2-secret"

// The servers that all tests share; each test has a schema or a prefix of its own.
var (
	postgresServer = sync.OnceValues(func() (*servers.Server, error) { return servers.Postgres() })
	redisServers   = sync.OnceValues(func() (*servers.Server, error) { return servers.Redis("--requirepass", password) })
	hosts          atomic.Int64
	started        [2]atomic.Bool
)

// programVar makes the test's own program the one that is tested.
const programVar = "CLAVIGER_TEST_PROGRAM"

// silence keeps the client from logging.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

func TestMain(m *testing.M) {
	if os.Getenv(programVar) != "" {
		main()
	}
	redis.SetLogger(silence{})
	// Most of the time these tests wait for servers and caches, so more of them run at
	// once than there are processors, unless the command line has another number.
	_ = flag.Set("test.parallel", "8")
	code := m.Run()
	for i, server := range []func() (*servers.Server, error){postgresServer, redisServers} {
		if !started[i].Load() {
			continue
		}
		if s, err := server(); err == nil {
			_ = s.Close()
		}
	}
	if buildBegun.Load() {
		if path, err := built(); err == nil {
			_ = os.RemoveAll(filepath.Dir(path))
		}
	}
	os.Exit(code)
}

// A host is a store of a test's own, and what is needed to run commands on it. It
// remembers all that they print.
type host struct {
	t       testing.TB
	url     string
	dir     string
	secrets []string // that were made

	out, err bytes.Buffer // all of standard output, and of standard error
}

// onStores runs a test on a store of each kind, but on SQLite alone with go test -short.
func onStores(t *testing.T, test func(t *testing.T, h *host)) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB) *host{"sqlite": sqliteHost, "postgres": postgresHost, "redis": redisHost} {
		if testing.Short() && name != "sqlite" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// newHost returns a host whose configuration is that on the page of config, with
// further members.
func newHost(t testing.TB, url string, members map[string]any) *host {
	t.Helper()
	h := &host{t: t, url: url, dir: t.TempDir()}
	config := make(map[string]any)
	if err := json.Unmarshal([]byte(exampleConfig(t)), &config); err != nil {
		t.Fatal(err)
	}
	maps.Copy(config, members)
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	h.write("config.json", string(text))
	h.write("store.url", url+"\n")
	t.Cleanup(h.checkSecrets)
	return h
}

func (h *host) path(name string) string { return filepath.Join(h.dir, name) }

func (h *host) write(name, text string) {
	h.t.Helper()
	if err := os.WriteFile(h.path(name), []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func sqliteHost(t testing.TB) *host {
	return newHost(t, "sqlite:"+filepath.Join(t.TempDir(), "a b?%41#.db"), nil)
}

// postgresHost returns a host over PostgreSQL. With -short there is none: to start a
// server takes a second.
func postgresHost(t testing.TB) *host {
	t.Helper()
	if testing.Short() {
		t.Skip("it needs PostgreSQL")
	}
	server, err := postgresServer()
	servers.Require(t, err)
	started[0].Store(true)
	schema := fmt.Sprintf("host%d", hosts.Add(1))
	return newHost(t, server.DSN+"&password="+password, map[string]any{"schema": schema})
}

func redisHost(t testing.TB) *host {
	t.Helper()
	server, err := redisServers()
	servers.Require(t, err)
	started[1].Store(true)
	prefix := fmt.Sprintf("host%d", hosts.Add(1))
	return newHost(t, "unix://:"+url.QueryEscape(password)+"@"+server.Socket, map[string]any{"redis_prefix": prefix})
}

// pool returns connections to the shared PostgreSQL server, past the program.
func pool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	server, err := postgresServer()
	servers.Require(t, err)
	p, err := pgxpool.New(t.Context(), server.DSN)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// A result is what a command did.
type result struct {
	code     int
	out, err string
}

// run runs a command with something on standard input.
func (h *host) run(stdin string, args ...string) result {
	h.t.Helper()
	var out, errs bytes.Buffer
	args = append([]string{"-store-file", h.path("store.url"), "-config", h.path("config.json"), "-as", "anna"}, args...)
	r := result{code: run(h.t.Context(), args, strings.NewReader(stdin), &out, &errs)}
	r.out, r.err = out.String(), errs.String()
	h.out.WriteString(r.out)
	h.err.WriteString(r.err)
	return r
}

// must is run for a command that must end with an exit code, and have nothing on
// standard input.
func (h *host) must(code int, args ...string) result {
	h.t.Helper()
	r := h.run("", args...)
	if r.code != code {
		h.t.Fatalf("claviger %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), r.code, code, r.out, r.err)
	}
	return r
}

// create makes a credential, and returns its ID and its secret.
func (h *host) create(args ...string) (id, secret string) {
	h.t.Helper()
	r := h.must(exitDone, append(args, "-json")...)
	var made struct{ ID, Secret string }
	if err := json.Unmarshal([]byte(r.out), &made); err != nil || made.ID == "" || made.Secret == "" {
		h.t.Fatalf("%v: %s", err, r.out)
	}
	h.secrets = append(h.secrets, made.Secret)
	return made.ID, made.Secret
}

// verify reports whether verify says of a credential that it is good, or the reason
// why not.
func (h *host) verify(secret string, args ...string) string {
	h.t.Helper()
	r := h.run(secret+"\n", append([]string{"verify", "-json"}, args...)...)
	var v verdict
	if err := json.Unmarshal([]byte(r.out), &v); err != nil {
		h.t.Fatalf("%v: %s%s", err, r.out, r.err)
	}
	if v.Good != (r.code == exitDone) || v.Good == (r.code == exitRefused) {
		h.t.Fatalf("exit code %d: %s", r.code, r.out)
	}
	if v.Good {
		return "good"
	}
	return v.Reason
}

// session returns a session on the store, for what no command does.
func (h *host) session() *session {
	h.t.Helper()
	s := &session{settings: settings{storeFile: h.path("store.url"), config: h.path("config.json"), timeout: defaultTimeout}}
	if err := s.open(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = s.close() })
	return s
}

// checkSecrets fails the test if something was printed that must not be: the
// password of the server, a digest, or a secret anywhere but where it was made.
func (h *host) checkSecrets() {
	h.t.Helper()
	if strings.Contains(h.out.String()+h.err.String(), password) {
		h.t.Error("the password of the server was printed")
	}
	for _, sign := range []string{`"digest"`, `"previous"`, "sha256$v="} {
		if strings.Contains(h.out.String()+h.err.String(), sign) {
			h.t.Errorf("something like a digest was printed: %s", sign)
		}
	}
	for _, secret := range h.secrets {
		half := secret[len(secret)-40:] // of a key the end alone is secret
		if n := strings.Count(h.out.String(), half); n != 1 {
			h.t.Errorf("a secret was printed %d times on standard output, want 1", n)
		}
		if strings.Contains(h.err.String(), half) {
			h.t.Error("a secret was printed on standard error")
		}
	}
}

// read returns a record as a list or show gave it.
func read[T any](t testing.TB, line string) T {
	t.Helper()
	var value T
	if err := json.Unmarshal([]byte(line), &value); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	return value
}

// principal returns the principal of a credential.
func principal(t testing.TB, s *session, secret string) keys.Principal {
	t.Helper()
	p, err := s.manager.Verifier().Verify(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func readText(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
