package benchmarks_test

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/scopes"
)

var scale = flag.Bool("scale", false, "also measure ten million entries, for which some 10 GB of memory are needed")

// Names that all cases use.
const (
	org   = "acme"
	scope = "identity:read"
	other = "webhooks:manage" // a scope that nobody holds
)

var catalog = scopes.MustCatalog(
	scopes.Scope{Name: scope, Status: scopes.Always},
	scopes.Scope{Name: other},
)

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.bench").Value.String() != "" {
		describe()
	}
	code := m.Run()
	stopRedis()
	stopPostgres()
	os.Exit(code)
}

// describe writes what a report should say of this run, in the form of the
// lines about the machine that package testing writes.
func describe() {
	fmt.Printf("date: %s\n", time.Now().UTC().Format(time.DateOnly))
	fmt.Printf("go: %s\n", runtime.Version())
	fmt.Printf("procs: %d\n", runtime.GOMAXPROCS(0))
	fmt.Printf("benchtime: %s\n", flag.Lookup("test.benchtime").Value)
	// Test binaries do not know the versions of what they are built from.
	requirements := must(os.ReadFile("go.mod"))
	for _, p := range peers {
		_, version, _ := strings.Cut(string(requirements), "\t"+p.module+" ")
		version, _, _ = strings.Cut(version, "\n")
		fmt.Printf("peer-%s: %s %s\n", p.impl, p.module, version)
	}
}

// peers are the modules that Claviger is compared with, by the first part of
// the names of their cases.
var peers = []struct{ impl, module string }{
	{"auth0", "github.com/auth0/go-jwt-middleware/v3"},
	{"chi-jwtauth", "github.com/go-chi/jwtauth/v5"},
	{"fosite", "github.com/ory/fosite"},
	{"go-limiter", "github.com/sethvargo/go-limiter"},
	{"go-oauth2", "github.com/go-oauth2/oauth2/v4"},
	{"httprate", "github.com/go-chi/httprate"},
	{"osin", "github.com/openshift/osin"},
	{"redis_rate", "github.com/go-redis/redis_rate/v10"},
	{"throttled", "github.com/throttled/throttled/v2"},
	{"tollbooth", "github.com/didip/tollbooth/v8"},
	{"ulule", "github.com/ulule/limiter/v3"},
	{"x-time", "golang.org/x/time"},
}

// must returns a value of the preparations. They fail only if the harness is
// wrong.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// writer is a response writer that costs little, and the same for all: it keeps
// the status, the header, and the start of the body.
type writer struct {
	status int
	header http.Header
	body   []byte
}

func newWriter() *writer {
	return &writer{header: make(http.Header), body: make([]byte, 0, 4096)}
}

func (w *writer) Header() http.Header { return w.header }

func (w *writer) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *writer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if len(w.body)+len(p) <= cap(w.body) {
		w.body = append(w.body, p...)
	}
	return len(p), nil
}

// serve has h answer r, with an empty header as a server's writer has it, and
// returns the status.
func (w *writer) serve(h http.Handler, r *http.Request) int {
	w.status, w.body = 0, w.body[:0]
	clear(w.header)
	h.ServeHTTP(w, r)
	return w.status
}

// nothing is the handler that all middleware protects.
var nothing = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusNoContent)
})

// bearer returns a request with a credential, or without one if text is empty.
func bearer(text string) *http.Request {
	r := httptest.NewRequest("GET", "/resource", nil)
	r.RemoteAddr = "192.0.2.1:1234"
	if text != "" {
		r.Header.Set("Authorization", "Bearer "+text)
	}
	return r
}

// stride visits all entries in an order that the processor does not foresee. It
// is a prime, so it has no factor in common with their numbers.
const stride = 611_953

// names returns n names of organizations.
func names(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = "org_" + strconv.Itoa(i)
	}
	return all
}

// heap returns the bytes that are in use after a full collection.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
