package main

import (
	"context"
	"errors"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/middleware/guardtest"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type text = wrapperspb.StringValue

// serve starts a server with HTTP/2, or with HTTP/1.1.
func serve(t testing.TB, h http.Handler, http2 bool) *httptest.Server {
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // of handlers that panic
	srv.EnableHTTP2 = http2
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

// A client of each protocol sees the limit as one that it must not run against at once.
func TestService(t *testing.T) {
	t.Parallel()
	host := guardtest.New(t, &keys.Options{Catalog: catalog}, &middleware.Options{WriteError: writeError})
	srv := serve(t, service(host.Guard), true)
	for name, opts := range protocols {
		key := host.Issue("acme "+name, keys.Spec{Scopes: []string{"orders:read"}, RateLimit: 1}).Text.Reveal()
		client := connect.NewClient[text, text](srv.Client(), srv.URL+list, opts...)
		call := func(key string) (string, error) {
			req := connect.NewRequest(wrapperspb.String(""))
			req.Header().Set("Authorization", "Bearer "+key)
			resp, err := client.CallUnary(t.Context(), req)
			if err != nil {
				return "", err
			}
			return resp.Msg.Value, nil
		}
		if got, err := call(key); got != "orders of acme "+name || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		_, err := call(key)
		if info := infoIn(err); connect.CodeOf(err) != connect.CodeResourceExhausted || info != "RATE_LIMIT_EXCEEDED" {
			t.Errorf("%s: %v, %s", name, err, info)
		}
		if _, err := call("junk"); connect.CodeOf(err) != connect.CodeUnauthenticated {
			t.Errorf("%s: %v", name, err)
		}
	}
	resp, err := srv.Client().Post(srv.URL+list, "text/plain", nil) // which is no RPC
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 401 || !strings.HasPrefix(string(body), `{"error":"unauthorized"`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// A stream ends when its credential is revoked, and the client is told why.
func TestStreamEnds(t *testing.T) {
	t.Parallel()
	for name, opts := range protocols {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := guardtest.New(t, &keys.Options{Catalog: catalog}, &middleware.Options{WriteError: writeError})
			news := make(chan string)
			srv := serve(t, host.Guard.Need(reading)(connect.NewServerStreamHandler(watch, stream(host.Guard, news))), true)
			issued := host.Issue("acme", keys.Spec{Scopes: []string{"orders:read"}, RateLimit: 1})
			client := connect.NewClient[text, text](srv.Client(), srv.URL+watch, opts...)
			req := connect.NewRequest(wrapperspb.String(""))
			req.Header().Set("Authorization", "Bearer "+issued.Text.Reveal())
			go func() { news <- "one"; news <- "two" }()
			s, err := client.CallServerStream(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for _, want := range []string{"one", "two"} {
				if !s.Receive() || s.Msg().Value != want {
					t.Fatalf("the stream ended before %q: %v", want, s.Err())
				}
			}
			host.Revoke(issued)
			go func() { news <- "three" }()
			if s.Receive() {
				t.Errorf("%q came through after the end", s.Msg().Value)
			}
			if connect.CodeOf(s.Err()) != connect.CodeUnauthenticated || infoIn(s.Err()) != "INVALID_TOKEN" {
				t.Errorf("the stream ended with %v", s.Err())
			}
		})
	}
}

var protocols = map[string][]connect.ClientOption{
	"connect": nil, "gRPC": {connect.WithGRPC()}, "gRPC-Web": {connect.WithGRPCWeb()},
}

// infoIn returns the reason in the ErrorInfo of an error, or "".
func infoIn(err error) string {
	if e := new(connect.Error); errors.As(err, &e) {
		for _, d := range e.Details() {
			if m, err := d.Value(); err == nil {
				if info, is := m.(*errdetails.ErrorInfo); is {
					return info.Reason
				}
			}
		}
	}
	return ""
}

// Guards in front of connect do what they do in net/http, for each protocol.
func TestGuardsBeforeConnect(t *testing.T) {
	t.Parallel()
	for name, opts := range protocols {
		for version, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
			if name == "gRPC" && !http2 {
				continue // which it needs
			}
			t.Run(name+" "+version, func(t *testing.T) {
				t.Parallel()
				guardtest.Test(t, func(t testing.TB, routes []guardtest.Route) guardtest.Client {
					return start(t, routes, opts, http2)
				}, &guardtest.Options{
					NotHTTP: true, WriteError: writeError,
					// While a body is not read, a server of HTTP/1.1 does not notice that the client hangs up.
					Deaf: name == "gRPC-Web" && !http2,
				})
			})
		}
	}
}

func start(t testing.TB, routes []guardtest.Route, opts []connect.ClientOption, http2 bool) guardtest.Client {
	mux := http.NewServeMux()
	streaming := make(map[string]bool)
	for _, r := range routes {
		streaming[r.Name] = r.Stream
		h := http.Handler(connect.NewUnaryHandler("/"+r.Name, func(ctx context.Context, _ *connect.Request[text]) (*connect.Response[text], error) {
			var all strings.Builder
			err := r.Handle(ctx, func(text string) error {
				all.WriteString(text)
				return nil
			})
			return connect.NewResponse(wrapperspb.String(all.String())), err
		}))
		if r.Stream {
			h = connect.NewServerStreamHandler("/"+r.Name, func(ctx context.Context, _ *connect.Request[text], s *connect.ServerStream[text]) error {
				return r.Handle(ctx, func(text string) error { return s.Send(wrapperspb.String(text)) })
			})
		}
		for _, m := range slices.Backward(r.Middleware()) {
			h = m(h)
		}
		mux.Handle("/"+r.Name, h)
	}
	srv := serve(t, mux, http2)
	return func(ctx context.Context, q guardtest.Request) (guardtest.Answer, error) {
		client := connect.NewClient[text, text](srv.Client(), srv.URL+"/"+q.Route, opts...)
		req := connect.NewRequest(wrapperspb.String(""))
		req.Header()["Authorization"] = q.Authorization
		if streaming[q.Route] {
			return receive(ctx, client, req, q.Received)
		}
		resp, err := client.CallUnary(ctx, req)
		if err != nil {
			return answer(err, nil, "")
		}
		return answer(nil, resp.Header(), resp.Msg.Value)
	}
}

func receive(ctx context.Context, client *connect.Client[text, text], req *connect.Request[text], received func(string)) (guardtest.Answer, error) {
	s, err := client.CallServerStream(ctx, req)
	if err != nil {
		return answer(err, nil, "")
	}
	var all strings.Builder
	for s.Receive() {
		all.WriteString(s.Msg().Value)
		received(s.Msg().Value)
	}
	return answer(errors.Join(s.Err(), s.Close()), s.ResponseHeader(), all.String())
}

// answer returns the answer of a call as a suite wants it.
func answer(err error, header http.Header, body string) (guardtest.Answer, error) {
	if err == nil {
		return guardtest.Answer{Status: 200, Header: header, Body: body}, nil
	}
	a := guardtest.Answer{Code: strings.ToLower(infoIn(err)), Header: make(http.Header)}
	if e := new(connect.Error); errors.As(err, &e) {
		maps.Copy(a.Header, e.Meta())
	}
	maps.Copy(a.Header, header)
	a.Status = map[connect.Code]int{
		connect.CodeUnauthenticated: 401, connect.CodePermissionDenied: 403,
		connect.CodeResourceExhausted: 429, connect.CodeUnavailable: 503,
	}[connect.CodeOf(err)]
	if a.Code == "invalid_request" {
		a.Status = 400
	}
	if a.Code == "" {
		return a, err
	}
	return a, nil
}
