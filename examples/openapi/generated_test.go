package openapi_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The generator, and what its code needs.
const (
	generator = "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2"
	clientMod = "module client\n\ngo 1.26.0\n\nrequire github.com/oapi-codegen/runtime v1.9.0\n"
)

// need skips a test for want of something, or fails it where all must be there.
func need(t *testing.T, what string, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%s: %v", what, err)
	}
	t.Skipf("%s: %v", what, err)
}

// TestGeneratedClient generates a client from the document that a partner API serves,
// and calls that API with it.
func TestGeneratedClient(t *testing.T) {
	t.Parallel()
	if os.Getenv("CLAVIGER_LONG") == "" {
		t.Skip("it builds a generator, and what that makes: set CLAVIGER_LONG")
	}
	dir := t.TempDir()
	command := func(name string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
		return cmd
	}
	if out, err := command("go", "mod", "download", "-json", "github.com/oapi-codegen/oapi-codegen/v2@v2.8.2").CombinedOutput(); err != nil {
		need(t, "oapi-codegen: "+string(out), err)
	}
	run := func(cmd *exec.Cmd) string {
		t.Helper()
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
		}
		return string(out)
	}

	url, key := serve(t, dir)
	write(t, filepath.Join(dir, "openapi.json"), fetch(t, url+"/openapi.json"))
	write(t, filepath.Join(dir, "go.mod"), clientMod)
	program, err := os.ReadFile(filepath.Join("testdata", "client", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "main.go"), string(program))
	run(command("go", "run", generator, "-generate", "types,client", "-package", "partner", "-o", "partner/partner.go", "openapi.json"))
	client := command("go", "run", ".", url)
	client.Env = append(client.Env, "KEY="+key)
	want := `me acme true
made generated [identity:read webhooks:manage] 1h0m0s
rotated true true
paused true
list 2 true
gone 204
conflict conflict
none not_found
refused unauthorized Bearer realm="partner", resource_metadata="` + url + `/.well-known/oauth-protected-resource"
chain acme
introspected true
another secret true
deleted 204
`
	out := run(client)
	_, out, _ = strings.Cut(out, "me ") // behind what go says about modules
	if out = "me " + out; out != want {
		t.Errorf("the client printed\n%s\nwant\n%s", out, want)
	}
}

// serve starts the partner API, and returns its URL and a key.
func serve(t *testing.T, dir string) (url, key string) {
	t.Helper()
	path := filepath.Join(dir, "partnerapi")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./partnerapi")
	build.Dir = ".." // in the module of the examples
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, "-addr", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "vck_") {
			key = line
		}
		if rest, ok := strings.CutPrefix(line, "curl -s "); ok && key != "" {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			url, _, _ = strings.Cut(rest, "/api/")
			return url, key
		}
	}
	t.Fatal("the partner API did not start")
	return "", ""
}

func fetch(t *testing.T, url string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}
