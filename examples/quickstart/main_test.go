package main

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware/guardtest"
	"github.com/claviger-auth/claviger/scopes"
)

// TestREADME compares the program in README with the one that compiles.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(readme), "```go\n")
	printed, _, closed := strings.Cut(rest, "```\n")
	if !ok || !closed {
		t.Fatal("README has no Go program")
	}
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, program, ok := strings.Cut(string(source), "package main\n")
	if !ok {
		t.Fatal("main.go has no package clause")
	}
	if diff := cmp.Diff("package main\n"+program, printed); diff != "" {
		t.Error(diff)
	}
}

// TestREADMEAnswers compares the answers in README with those of the program.
func TestREADMEAnswers(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "```console\n")
	printed, _, _ := strings.Cut(rest, "```\n")
	answers := strings.Split(printed, "$ curl ")[1:]
	host := guardtest.New(t, &keys.Options{Catalog: scopes.MustCatalog(scopes.Scope{Name: "hello:read"})}, nil)
	srv := httptest.NewServer(host.Guard.Require("hello:read")(http.HandlerFunc(hello)))
	defer srv.Close()
	credentials := []string{"Bearer " + host.Key("acme", "hello:read"), ""}
	if len(answers) != len(credentials) {
		t.Fatalf("README has %d answers, want %d", len(answers), len(credentials))
	}
	for i, authorization := range credentials {
		_, answer, _ := strings.Cut(answers[i], "\n")
		want, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil)
		if err != nil {
			t.Fatal(err)
		}
		r, _ := http.NewRequestWithContext(t.Context(), "GET", srv.URL, nil)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		got, err := srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(content(t, got), content(t, want)); diff != "" {
			t.Errorf("answer %d (- of the program, + of README):\n%s", i+1, diff)
		}
	}
}

// content returns what two answers at different times have in common.
func content(t *testing.T, resp *http.Response) any {
	t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	resp.Header.Del("Date")
	return []any{resp.Status, resp.Header, string(body)}
}
