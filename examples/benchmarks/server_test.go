package benchmarks_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"

	"github.com/claviger-auth/claviger/middleware"
)

// A session is a kept-alive connection to a real server, and a client that
// costs as little as one can.
type session struct {
	conn   net.Conn
	reader *bufio.Reader
}

// newSession starts a server for h on the loopback interface and connects to
// it.
func newSession(tb testing.TB, h http.Handler) *session { return newSessions(tb, h, 1)[0] }

// newSessions is newSession with several connections.
func newSessions(tb testing.TB, h http.Handler, n int) (sessions []*session) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l)
	}()
	tb.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	for range n {
		conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", l.Addr().String())
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = conn.Close() })
		sessions = append(sessions, &session{conn, bufio.NewReader(conn)})
	}
	return sessions
}

// wireRequest returns the bytes of a request with a credential.
func wireRequest(text string) []byte {
	return fmt.Appendf(nil, "GET /resource HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: benchmark\r\nAuthorization: Bearer %s\r\n\r\n", text)
}

var noContent = []byte("HTTP/1.1 204 ")

// do sends a request, reads the answer, and reports whether its status is 204.
// It reads no bodies: answers of 204 have none, and after another one the session is over.
func (s *session) do(request []byte) (bool, error) {
	if _, err := s.conn.Write(request); err != nil {
		return false, err
	}
	line, err := s.reader.ReadSlice('\n')
	if err != nil {
		return false, err
	}
	good := bytes.HasPrefix(line, noContent)
	for len(line) > 2 { // the last one is empty
		if line, err = s.reader.ReadSlice('\n'); err != nil {
			return false, err
		}
	}
	return good, nil
}

// serverImpls are the handlers: the bare one, and the same behind a Guard with its
// limits and its fields about the quota, behind the floor of that, and behind a
// Guard that leaves the fields out.
var serverImpls = []struct {
	name string
	new  func() (h http.Handler, request []byte)
}{
	{"bare", func() (http.Handler, []byte) { return nothing, wireRequest(must(newKeyText())) }},
	{"claviger", func() (http.Handler, []byte) {
		h := newHost(nil)
		_, text := h.key(org, plenty)
		return h.guard.Require(scope)(nothing), wireRequest(text)
	}},
	{"floor-guard", func() (http.Handler, []byte) {
		text := must(newKeyText())
		return newFloorGuard(text, plenty).require(scope, true, nothing), wireRequest(text)
	}},
	{"claviger-bare", func() (http.Handler, []byte) {
		h := newHost(&middleware.Options{OmitQuota: true})
		_, text := h.key(org, plenty)
		return h.guard.Require(scope)(nothing), wireRequest(text)
	}},
}

// BenchmarkServer is one request to a real server and its answer, on one
// connection. The floor is the server alone, so the difference is what a host
// pays for the middleware.
func BenchmarkServer(b *testing.B) {
	for _, impl := range serverImpls {
		b.Run("impl="+impl.name, func(b *testing.B) {
			h, request := impl.new()
			s := newSession(b, h)
			b.ReportAllocs()
			for b.Loop() {
				if good, err := s.do(request); !good || err != nil {
					b.Fatal(good, err)
				}
			}
		})
	}
}

func TestServer(t *testing.T) {
	t.Parallel()
	for _, impl := range serverImpls {
		h, request := impl.new()
		s := newSession(t, h)
		for range 3 {
			if good, err := s.do(request); !good || err != nil {
				t.Errorf("%s: a good request: %v, %v", impl.name, good, err)
			}
		}
		good, err := s.do(wireRequest(must(newKeyText())))
		if want := impl.name == "bare"; good != want || err != nil {
			t.Errorf("%s: a bad key: %v, %v, want %v", impl.name, good, err, want)
		}
	}
}
