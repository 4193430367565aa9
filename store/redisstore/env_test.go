package redisstore_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store/redisstore"
	"github.com/claviger-auth/claviger/store/storetest/servers"
)

// shared is the server of the tests that harm nobody. Each store on it has a
// prefix of its own. It does not wait for the disk.
var shared = sync.OnceValues(func() (*servers.Server, error) { return servers.Redis("--appendfsync", "no") })

// durable is such a server for stores that Check must find fit.
var durable = sync.OnceValues(func() (*servers.Server, error) { return servers.Redis() })

// rounds returns how often to do something: n, or short with go test -short, or
// long with CLAVIGER_LONG in the environment.
func rounds(long, n, short int) int {
	switch {
	case testing.Short():
		return short
	case os.Getenv("CLAVIGER_LONG") != "":
		return long
	}
	return n
}

// race is how long the kit's races are.
func race() time.Duration { return time.Duration(rounds(150, 40, 5)) * time.Millisecond }

// silence keeps the client from logging each connection that a test breaks.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

func TestMain(m *testing.M) {
	redis.SetLogger(silence{})
	// Most of the time these tests wait for servers, so more of them run at once than
	// there are processors, unless the command line has another number.
	_ = flag.Set("test.parallel", "8")
	flag.Parse()
	if _, err := shared(); errors.Is(err, servers.ErrNotInstalled) && os.Getenv("CI") == "" {
		// Examples cannot skip themselves, as tests do.
		_ = flag.Set("test.skip", "^Example")
	}
	code := m.Run()
	for _, server := range []func() (*servers.Server, error){shared, durable} {
		if s, err := server(); err == nil {
			_ = s.Close()
		}
	}
	closeCluster()
	os.Exit(code)
}

// server returns the shared server.
func server(t testing.TB) *servers.Server {
	t.Helper()
	s, err := shared()
	servers.Require(t, err)
	return s
}

// private starts a server of the test's own. With -short there is none but the shared
// one.
func private(t testing.TB, settings ...string) *servers.Server {
	t.Helper()
	if testing.Short() {
		t.Skip("it needs a server of its own")
	}
	s, err := servers.Redis(settings...)
	servers.Require(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// settings are the options of clients of a Unix socket. Calls end with their context.
func settings(socket string) *redis.Options {
	return &redis.Options{Network: "unix", Addr: socket, ContextTimeoutEnabled: true, DialerRetries: 1, ReadTimeout: patience}
}

// connect returns a client of a server.
func connect(t testing.TB, socket string) *redis.Client {
	t.Helper()
	c := redis.NewClient(settings(socket))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

var prefixes atomic.Int64

// prefix returns a prefix that no other test has.
func prefix() string { return fmt.Sprintf("t%d", prefixes.Add(1)) }

// open returns a store over a client, with patience unless o says otherwise.
func open(t testing.TB, c redis.UniversalClient, o redisstore.Options) *redisstore.Store {
	t.Helper()
	o.Timeout = cmp.Or(o.Timeout, patience)
	s, err := redisstore.New(c, &o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fresh returns an empty store on the shared server, its client and its prefix.
func fresh(t testing.TB) (*redisstore.Store, *redis.Client, string) {
	t.Helper()
	c, p := connect(t, server(t).Socket), prefix()
	return open(t, c, redisstore.Options{Prefix: p, Timeout: 10 * time.Second}), c, p
}

// Times of the records of the tests.
var (
	created = time.UnixMilli(1_700_000_000_001).UTC()
	expires = time.UnixMilli(4_000_000_000_002).UTC()
)

// digest is that of no secret in particular.
var digest = mustDigest("$sha256$v=1$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE")

func mustDigest(text string) keys.Digest {
	d, err := keys.ParseDigest(text)
	if err != nil {
		panic(err)
	}
	return d
}

// record returns a live record.
func record(kind keys.Kind, id string) keys.Record {
	r := keys.Record{
		ID: id, Kind: kind, Org: "acme", Label: "a label", Scopes: scopes.MustParse("a b"), RateLimit: 600,
		Digest: digest, CreatedAt: created, ExpiresAt: expires, Version: 1,
	}
	if kind == keys.KindToken {
		r.Parent = "client of " + id
	}
	return r
}

// must fails the test on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wants fails the test unless an error wraps another one.
func wants(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}
