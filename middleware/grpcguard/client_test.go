package grpcguard_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware/grpcguard"
	"github.com/claviger-auth/claviger/middleware/guardtest"
	"github.com/claviger-auth/claviger/oauth"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// dialGuarded returns a function that dials a server with the method "any".
func dialGuarded(t *testing.T, host *guardtest.Host) func(c credentials.PerRPCCredentials) *grpc.ClientConn {
	return func(c credentials.PerRPCCredentials) *grpc.ClientConn {
		auth := newInterceptor(t, host.Guard, grpcguard.Rules{method("any"): grpcguard.Authenticated()}, nil)
		s := newServer(auth.ServerOptions()...)
		s.unary("any", caller)
		return s.serve(t, grpc.WithPerRPCCredentials(c))
	}
}

func TestKey(t *testing.T) {
	t.Parallel()
	host := guardtest.New(t, nil, nil)
	dial := dialGuarded(t, host)
	key := grpcguard.Key(host.Issue("acme", keys.Spec{}).Text)
	if !key.RequireTransportSecurity() {
		t.Error("a key is sent without TLS")
	}
	if got, err := invoke(t.Context(), dial(grpcguard.InsecureTransport(key)), "any", ""); got != "acme true" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// Nothing is sent over a connection without TLS unless the host says so.
func TestTransportSecurity(t *testing.T) {
	t.Parallel()
	source := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "x"})
	if !grpcguard.Tokens(source).RequireTransportSecurity() || grpcguard.InsecureTransport(grpcguard.Tokens(source)).RequireTransportSecurity() {
		t.Error("tokens are sent without TLS")
	}
}

// A real token endpoint: one token serves many calls, and the next one is fetched when
// it is about to expire.
func TestTokens(t *testing.T) {
	t.Parallel()
	host := guardtest.New(t, nil, nil)
	server, err := oauth.NewServer(host.Manager, nil)
	if err != nil {
		t.Fatal(err)
	}
	handler, err := oauth.NewHandler(server, "http://issuer.test", nil)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	handler.Register(mux)
	var fetched atomic.Int64
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetched.Add(1)
		mux.ServeHTTP(w, r)
	}))
	defer endpoint.Close()
	client := host.Issue("acme", keys.Spec{Kind: keys.KindClient})
	config := &clientcredentials.Config{ClientID: client.Record.ID, ClientSecret: client.Text.Reveal(), TokenURL: endpoint.URL + "/oauth/token"}
	conn := dialGuarded(t, host)(grpcguard.InsecureTransport(grpcguard.Tokens(config.TokenSource(t.Context()))))
	var calls sync.WaitGroup
	for range 10 {
		calls.Go(func() {
			for range 5 {
				if got, err := invoke(t.Context(), conn, "any", ""); got != "acme true" || err != nil {
					t.Errorf("%q, %v", got, err)
				}
			}
		})
	}
	calls.Wait()
	if n := fetched.Load(); n != 1 {
		t.Errorf("%d tokens were fetched for 50 calls", n)
	}

	config.ClientSecret = "wrong"
	conn = dialGuarded(t, host)(grpcguard.InsecureTransport(grpcguard.Tokens(config.TokenSource(t.Context()))))
	if _, err := invoke(t.Context(), conn, "any", ""); status.Code(err) != codes.Unauthenticated || !strings.Contains(err.Error(), "invalid_client") {
		t.Error(err)
	}
}

// A source is a token source that a test controls.
type source func() (*oauth2.Token, error)

func (s source) Token() (*oauth2.Token, error) { return s() }

func TestTokensAreFetchedAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fetched := 0
		c := grpcguard.Tokens(source(func() (*oauth2.Token, error) {
			fetched++
			return &oauth2.Token{AccessToken: "t", Expiry: time.Now().Add(time.Minute)}, nil
		}))
		for _, want := range []int{1, 1, 2, 2, 3} {
			md, err := c.GetRequestMetadata(t.Context())
			if err != nil || md["authorization"] != "Bearer t" || fetched != want {
				t.Errorf("%v, %v, fetched %d times, want %d", md, err, fetched, want)
			}
			time.Sleep(30 * time.Second) // on the test's own clock
		}
	})
}

// A token endpoint that hangs holds up no call for longer than its context allows, and is
// asked once.
func TestTokensThatHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fetched, release := 0, make(chan struct{})
		c := grpcguard.Tokens(source(func() (*oauth2.Token, error) {
			fetched++
			<-release
			return &oauth2.Token{AccessToken: "t"}, nil
		}))
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			began := time.Now()
			if _, err := c.GetRequestMetadata(ctx); status.Code(err) != codes.DeadlineExceeded || time.Since(began) != time.Second {
				t.Errorf("%v after %v", err, time.Since(began))
			}
			cancel()
		}
		close(release)
		if md, err := c.GetRequestMetadata(t.Context()); err != nil || md["authorization"] != "Bearer t" || fetched != 1 {
			t.Errorf("%v, %v, fetched %d times", md, err, fetched)
		}
	})
}

func TestTokensThatFail(t *testing.T) {
	t.Parallel()
	answered := func(status int) error {
		return &oauth2.RetrieveError{Response: &http.Response{StatusCode: status}, ErrorCode: "invalid_client"}
	}
	for _, tt := range []struct {
		name string
		err  error
		want codes.Code
	}{
		{"refused", answered(401), codes.Unauthenticated},
		{"malformed", answered(400), codes.Unauthenticated},
		{"too often", answered(429), codes.Unavailable},
		{"a failure", answered(500), codes.Unavailable},
		{"out of service", answered(503), codes.Unavailable},
		{"no answer", errors.New("connection refused"), codes.Unavailable},
	} {
		c := grpcguard.Tokens(source(func() (*oauth2.Token, error) { return nil, tt.err }))
		for range 2 { // an error is not kept
			if _, err := c.GetRequestMetadata(t.Context()); status.Code(err) != tt.want {
				t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			}
		}
	}
}
