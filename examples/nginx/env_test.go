package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
)

// env is a private nginx with the settings of nginx.conf, the guard on a Unix
// socket, and a service.
type env struct {
	t       *testing.T
	manager *keys.Manager
	store   *failing
	guard   *httptest.Server
	service http.HandlerFunc // set before the first request
	seen    atomic.Int64     // requests that the service got
	url     string
}

// A failing store reads no record while it is told to fail.
type failing struct {
	keys.Store
	fails atomic.Bool
}

func (s *failing) Get(ctx context.Context, id string) (rec, parent keys.Record, err error) {
	if s.fails.Load() {
		return keys.Record{}, keys.Record{}, errors.New("the store is down")
	}
	return s.Store.Get(ctx, id)
}

func newEnv(t *testing.T) *env {
	t.Helper()
	program, err := exec.LookPath("nginx")
	if err != nil {
		program = "/usr/sbin/nginx"
		if _, err := os.Stat(program); err != nil && os.Getenv("CI") == "" {
			t.Skip("nginx is not installed; apt-get install nginx-light, brew install nginx, or the like")
		} else if err != nil {
			t.Fatal(err)
		}
	}
	// A socket's path must be short, so it is not in t.TempDir.
	dir, err := os.MkdirTemp("", "claviger-nginx")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	e := &env{t: t}
	e.startGuard(filepath.Join(dir, "auth.sock"))
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.seen.Add(1)
		e.service(w, r)
	}))
	t.Cleanup(service.Close)
	e.startNginx(program, dir, strings.TrimPrefix(service.URL, "http://"))
	return e
}

// newGuard returns what nginx asks.
func (e *env) newGuard() http.Handler {
	e.t.Helper()
	db := new(store.Memory)
	e.store = &failing{Store: db}
	var err error
	e.manager, err = keys.NewManager(e.store, &keys.Options{
		Catalog: scopes.MustCatalog(scopes.Scope{Name: "orders:read"}, scopes.Scope{Name: "other"}),
	})
	if err != nil {
		e.t.Fatal(err)
	}
	limiter, err := ratelimit.NewLimiter(db, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	handler, err := newHandler(e.manager.Verifier(), limiter)
	if err != nil {
		e.t.Fatal(err)
	}
	return handler
}

// startGuard starts what nginx asks.
func (e *env) startGuard(socket string) {
	e.t.Helper()
	var err error
	e.guard = httptest.NewUnstartedServer(e.newGuard())
	if err := e.guard.Listener.Close(); err != nil {
		e.t.Fatal(err)
	}
	if e.guard.Listener, err = net.Listen("unix", socket); err != nil {
		e.t.Fatal(err)
	}
	e.guard.Start()
	e.t.Cleanup(e.guard.Close)
}

// mainConf is what stands around nginx.conf: two workers, and every file in the
// folder that nginx is started with.
const mainConf = `
daemon off;
worker_processes 2;
pid nginx.pid;
error_log stderr warn;
events {}
http {
	access_log off;
	client_body_temp_path temp;
	proxy_temp_path temp;
	fastcgi_temp_path temp;
	uwsgi_temp_path temp;
	scgi_temp_path temp;
%s
}
`

// startNginx starts nginx on a port that is free. It inherits the listener, so
// nobody else can take the port, and clients can connect at once.
func (e *env) startNginx(program, dir, service string) {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		e.t.Fatal(err)
	}
	defer listener.Close()
	file, err := listener.File()
	if err != nil {
		e.t.Fatal(err)
	}
	defer file.Close()
	addr := listener.Addr().String()
	e.url = "http://" + addr

	text, err := os.ReadFile("nginx.conf")
	if err != nil {
		e.t.Fatal(err)
	}
	conf := string(text)
	for old, value := range map[string]string{
		"unix:/run/guard/auth.sock;": "unix:" + filepath.Join(dir, "auth.sock") + ";",
		"server 127.0.0.1:9000;":     "server " + service + ";",
		"listen 127.0.0.1:8000;":     "listen " + addr + ";",
	} {
		if strings.Count(conf, old) != 1 {
			e.t.Fatalf("nginx.conf does not have %q once", old)
		}
		conf = strings.Replace(conf, old, value, 1)
	}
	if err := os.WriteFile(filepath.Join(dir, "nginx.conf"), fmt.Appendf(nil, mainConf, conf), 0o600); err != nil {
		e.t.Fatal(err)
	}
	var log strings.Builder
	cmd := exec.Command(program, "-p", dir, "-e", "stderr", "-c", "nginx.conf")
	if os.Geteuid() == 0 { // the workers use the folder too
		cmd.Args = append(cmd.Args, "-g", "user root;")
	}
	cmd.Dir, cmd.Stderr = dir, &log
	cmd.ExtraFiles = []*os.File{file}
	cmd.Env = append(os.Environ(), "NGINX=3;")
	endWithParent(cmd)
	if err := cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() {
		if err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()); err != nil {
			e.t.Errorf("nginx: %v", err)
		}
		if e.t.Failed() {
			e.t.Logf("nginx: %s", log.String())
		}
	})
	// Package os/exec makes the socket block, and the mode is that of both
	// processes. A worker would wait for a client that another one has taken.
	conn, err := listener.SyscallConn()
	if err != nil {
		e.t.Fatal(err)
	}
	var blocks error
	err = conn.Control(func(fd uintptr) { blocks = syscall.SetNonblock(int(fd), true) })
	if err := errors.Join(err, blocks); err != nil {
		e.t.Fatal(err)
	}
}

// key makes a key of an organization and returns it.
func (e *env) key(org string, spec keys.Spec) keys.Issued {
	e.t.Helper()
	issued, err := e.manager.Create(e.t.Context(), org, spec)
	if err != nil {
		e.t.Fatal(err)
	}
	return issued
}

// An answer is what a client of nginx gets.
type answer struct {
	status int
	header http.Header
	body   string
}

// send sends a request to nginx, with fields beside those of the credentials.
func (e *env) send(method, body string, fields http.Header, credentials ...string) (answer, error) {
	r, err := http.NewRequestWithContext(e.t.Context(), method, e.url+"/orders/7?page=2", strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	maps.Copy(r.Header, fields)
	for _, text := range credentials {
		r.Header.Add("Authorization", "Bearer "+text)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text)}, err
}

// get is send for a test that goes on with an answer only.
func (e *env) get(credentials ...string) answer {
	e.t.Helper()
	got, err := e.send("GET", "", nil, credentials...)
	if err != nil {
		e.t.Fatal(err)
	}
	return got
}
