package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// start runs the program and returns what it printed before it served.
func start(t *testing.T, args ...string) (printed []string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), in, io.Discard)
		in.Close()
		done <- err
	}()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		printed = append(printed, lines.Text())
		if strings.Contains(lines.Text(), "/v1/oauth/clients ") { // the last line
			break
		}
	}
	go io.Copy(io.Discard, out)
	return printed, func() error { cancel(); return <-done }
}

// TestPrintedLines sends each curl line that the program prints.
func TestPrintedLines(t *testing.T) {
	t.Parallel()
	printed, stop := start(t)
	sent := 0
	for _, line := range printed {
		if !strings.HasPrefix(line, "curl ") {
			continue
		}
		req := parseCurl(t, line)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		want := http.StatusOK
		if req.Method == "POST" {
			want = http.StatusCreated
		}
		if err != nil || resp.StatusCode != want {
			t.Errorf("%s\n%d %s %v", line, resp.StatusCode, body, err)
		}
		sent++
	}
	if sent < 5 {
		t.Errorf("the program printed %d lines to try:\n%s", sent, strings.Join(printed, "\n"))
	}
	if err := stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
}

// TestPrintedLinesUnderPath has an issuer with a path. Only the routes of OAuth are
// below it.
func TestPrintedLinesUnderPath(t *testing.T) {
	t.Parallel()
	a, err := newAPI(memory(t), "https://example.com/tenant", nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var printed strings.Builder
	if err := a.bootstrap(t.Context(), &printed, "acme", false); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(printed.String()) {
		if !strings.HasPrefix(line, "curl ") {
			continue
		}
		w := httptest.NewRecorder()
		req := parseCurl(t, line)
		req.RemoteAddr = "127.0.0.1:1"
		if a.handler().ServeHTTP(w, req); w.Code >= 300 {
			t.Errorf("%s%d %s", line, w.Code, w.Body)
		}
	}
}

// parseCurl returns the request that a curl line with -s, -X, -H and -d makes.
func parseCurl(t *testing.T, line string) *http.Request {
	t.Helper()
	var words []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part) // in quotes
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	method, url, body := "GET", "", ""
	header := make(http.Header)
	for i := 1; i < len(words); i++ {
		switch words[i] {
		case "-s":
		case "-X":
			i++
			method = words[i]
		case "-H":
			i++
			name, value, _ := strings.Cut(words[i], ": ")
			header.Add(name, value)
		case "-d":
			i++
			body = words[i]
		default:
			url = words[i]
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	return req
}

func TestBootstrap(t *testing.T) {
	t.Parallel()
	e := newEnv(t) // has a key for acme
	var out bytes.Buffer
	if err := e.api.bootstrap(t.Context(), &out, "acme", false); err != nil || out.Len() != 0 {
		t.Errorf("with a key that manages keys: %q, %v", out.String(), err)
	}
	if err := e.api.bootstrap(t.Context(), &out, "acme", true); err != nil || !strings.Contains(out.String(), "\nvck_live_") {
		t.Errorf("forced: %q, %v", out.String(), err)
	}
	if n, err := e.api.manager.RevokeAll(t.Context(), "acme"); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	out.Reset()
	if err := e.api.bootstrap(t.Context(), &out, "acme", false); err != nil || !strings.Contains(out.String(), "\nvck_live_") {
		t.Errorf("after all keys were revoked: %q, %v", out.String(), err)
	}
	if text := strings.SplitN(out.String(), "\n\n", 3)[1]; strings.Count(out.String(), text) < 4 {
		t.Errorf("the lines to try lack the key:\n%s", out.String())
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-store", "sqlite:"}, "-store sqlite"},
		{[]string{"-store", "sqlite:/nonexistent/folder/file"}, "-store sqlite"},
		{[]string{"-store", "postgres://user:hunter2@%zz/x"}, "-store postgres"},
		{[]string{"-store", "redis://:hunter2@127.0.0.1:port"}, "-store redis"},
		{[]string{"-store", "memory", "-limits", "nowhere"}, "-limits"},
		{[]string{"-store", "memory", "-limits", "sqlite:"}, "-limits sqlite"},
		{[]string{"-store", "memory", "-limits", "redis://:hunter2@127.0.0.1:port"}, "-limits redis"},
		{[]string{"-store", "memory", "-limits", "leased"}, "-limits leased"},
		{[]string{"-store", "memory", "-limits", "leased:memory"}, "-limits leased"},
		{[]string{"-store", "memory", "-limits", "leased:"}, "or leased:URL"},
		{[]string{"-store", "memory", "-limits", "leased:store"}, "or leased:URL"},
		{[]string{"-store", "memory", "-limits", "leased:redis://:hunter2@127.0.0.1:port"}, "-limits redis"},
		{[]string{"-store", "memory", "-cache", "1s"}, "-cache"},
		{[]string{"-store", "sqlite:" + t.TempDir() + "/x", "-cache", "1ms"}, "-cache"},
		{[]string{"-store", "mysql://localhost"}, "unknown kind"},
		{[]string{"-store", "memory:x"}, "takes nothing more"},
		{[]string{"-org", ""}, "organization"},
		{[]string{"-leaks", "/nonexistent"}, "-leaks"},
		{[]string{"-leaks", "main.go"}, "-leaks"},
		{[]string{"extra"}, "unexpected argument"},
		{[]string{"-addr", "nonsense"}, "nonsense"},
		{[]string{"-nonsense"}, "nonsense"},
	} {
		err := run(t.Context(), append([]string{"-addr", "127.0.0.1:0"}, tt.args...), io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want something about %q", tt.args, err, tt.want)
		}
		if err != nil && (strings.Contains(err.Error(), "localhost") || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%q: the error repeats an address that may hold a password: %v", tt.args, err)
		}
	}
	if err := run(t.Context(), []string{"-h"}, io.Discard, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
}
