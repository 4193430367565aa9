package grpcguard

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/claviger-auth/claviger/keys"
	"golang.org/x/oauth2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// Key returns credentials that send an API key with each call, and only over TLS.
func Key(text keys.Secret) credentials.PerRPCCredentials {
	return bearer(func(context.Context) (string, error) { return text.Reveal(), nil })
}

// Tokens returns credentials that send an access token with each call, and only over
// TLS. They ask source for a token when they have none, or one that is about to expire.
// Calls that need it at the same time wait for one answer, each no longer than its
// context allows. Give it, for example, the TokenSource of a clientcredentials.Config
// of package x/oauth2.
//
// If source fails, the call fails with the code Unauthenticated if the token endpoint
// refused the client, and with Unavailable otherwise. A token that was revoked is sent
// until it expires.
func Tokens(source oauth2.TokenSource) credentials.PerRPCCredentials {
	return bearer((&tokens{source: source}).text)
}

// InsecureTransport returns credentials like c that are also sent without TLS. Everybody
// on the way can then read and use them. It is for connections within one machine, and
// for networks that encrypt by themselves.
func InsecureTransport(c credentials.PerRPCCredentials) credentials.PerRPCCredentials {
	return insecure{c}
}

type insecure struct{ credentials.PerRPCCredentials }

func (insecure) RequireTransportSecurity() bool { return false }

// bearer returns the text that is to be sent.
type bearer func(ctx context.Context) (string, error)

func (b bearer) RequireTransportSecurity() bool { return true }

func (b bearer) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	text, err := b(ctx)
	if err != nil {
		return nil, err
	}
	return map[string]string{"authorization": "Bearer " + text}, nil
}

// tokens keep a token for as long as it is good.
type tokens struct {
	source oauth2.TokenSource
	last   atomic.Pointer[oauth2.Token]

	mu      sync.Mutex
	running *fetch // nil if there is none
}

// A fetch is one call of the source. It does not end with the contexts of the calls that
// wait for it.
type fetch struct {
	done  chan struct{}
	token *oauth2.Token
	err   error
}

// text returns a token.
func (t *tokens) text(ctx context.Context) (string, error) {
	if last := t.last.Load(); last.Valid() {
		return last.AccessToken, nil
	}
	f := t.fetch()
	select {
	case <-f.done:
	case <-ctx.Done():
		return "", status.FromContextError(ctx.Err()).Err()
	}
	if f.err != nil {
		return "", tokenStatus(f.err)
	}
	return f.token.AccessToken, nil
}

// fetch returns the fetch that is running, or a new one.
func (t *tokens) fetch() *fetch {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running != nil {
		return t.running
	}
	f := &fetch{done: make(chan struct{})}
	t.running = f
	go func() {
		defer close(f.done)
		f.token, f.err = t.source.Token()
		if f.err == nil {
			t.last.Store(f.token)
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.running = nil
	}()
	return f
}

// tokenStatus returns the status for a token that could not be had.
func tokenStatus(err error) error {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.Response != nil && refused.Response.StatusCode < 500 &&
		refused.Response.StatusCode != http.StatusTooManyRequests {
		return status.Error(codes.Unauthenticated, "grpcguard: the token endpoint refused the client: "+refused.ErrorCode)
	}
	return status.Error(codes.Unavailable, "grpcguard: no access token: "+err.Error())
}
