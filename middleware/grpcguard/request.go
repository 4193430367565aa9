package grpcguard

import (
	"context"
	"net/http"
	"net/url"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// request returns a call as a request of net/http, for the guard to check.
func request(ctx context.Context, method string) *http.Request {
	r := &http.Request{
		Method: http.MethodPost, URL: &url.URL{Path: method}, RequestURI: method,
		Proto: "HTTP/2.0", ProtoMajor: 2, Header: make(http.Header), Body: http.NoBody,
	}
	md, _ := metadata.FromIncomingContext(ctx)
	for name, values := range md {
		r.Header[http.CanonicalHeaderKey(name)] = values
	}
	if p, found := peer.FromContext(ctx); found {
		if p.Addr != nil {
			r.RemoteAddr = p.Addr.String()
		}
		if p.LocalAddr != nil && p.LocalAddr.Network() == "unix" { // middleware.Proxies looks for it
			ctx = context.WithValue(ctx, http.LocalAddrContextKey, p.LocalAddr)
		}
	}
	return r.WithContext(ctx)
}
