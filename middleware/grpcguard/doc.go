// Package grpcguard puts a [middleware.Guard] in front of the methods of a gRPC
// server, and a credential into the calls of a client.
//
// # Servers
//
// A table says what each method needs. A method that is not in it is open to nobody:
//
//	auth, err := grpcguard.New(guard, grpcguard.Rules{
//		"/shop.v1.Orders/List":         grpcguard.Require("orders:read"),
//		"/shop.v1.Orders/Export":       grpcguard.Need(middleware.Need{All: []string{"export"}, Cost: 10}),
//		"/shop.v1.Orders/Watch":        grpcguard.Authenticated(),
//		"/shop.v1.Keys/Revoke":         grpcguard.Manage("keys:manage"),
//		"/grpc.health.v1.Health/Check": grpcguard.Public(),
//	}, nil)
//	srv := grpc.NewServer(auth.ServerOptions()...)
//	shop.RegisterOrdersServer(srv, orders)
//	err = auth.Check(srv) // names methods without a rule, and rules without a method
//
// Handlers find the caller with [keys.FromContext], and the state of the quota with
// [middleware.FromContext], in the context that they get, or in that of their stream.
// The address of the caller is there too, for [keys.AddressFromContext] and for the
// trail of a [keys.Manager].
//
// A call goes through credential, network, limit and scope in this order, as a
// request over HTTP does, and a refusal has the same text. The credential is in the
// metadata that the Sources of the guard name, "authorization" by default. The Proxies
// of the guard find the address. A refused call never reaches the handler. A refusal
// has a code, and details for programs: an ErrorInfo of the domain "claviger" and
// sometimes a RetryInfo:
//
//	Unauthenticated    UNAUTHORIZED, INVALID_TOKEN, INVALID_REQUEST
//	PermissionDenied   ADDRESS_NOT_ALLOWED, INSUFFICIENT_SCOPE (with "scope"), NO_RULE
//	ResourceExhausted  RATE_LIMIT_EXCEEDED, with a RetryInfo
//	Unavailable        TEMPORARILY_UNAVAILABLE, with a RetryInfo
//	Canceled           CLIENT_GONE
//
// The fields about the quota, "ratelimit-policy" and "ratelimit", are in the header
// of calls that are let in. If the handler sends the header with grpc.SendHeader, they
// are in the trailer. For refused calls they are in the trailer too, with
// "retry-after" if the call is over the limit.
//
// # Streams
//
// A stream is one call: it is charged once, however many messages it has. It ends when
// its credential is not good any more: every [Options.Recheck], the credential, its
// networks and its scopes are checked again, which takes nothing from the quota. When
// that check refuses, the context of the stream ends, and SendMsg and RecvMsg fail with
// the refusal, also if the handler is waiting in one of them. The handler should then
// return. Whatever it returns, the client gets the refusal.
//
// # Clients
//
// [Key] sends an API key with each call. [Tokens] sends an access token, which it
// fetches for the first call, and again when it is about to expire:
//
//	config := &clientcredentials.Config{ClientID: id, ClientSecret: secret, TokenURL: url}
//	conn, err := grpc.NewClient(target,
//		grpc.WithTransportCredentials(credentials.NewTLS(nil)),
//		grpc.WithPerRPCCredentials(grpcguard.Tokens(config.TokenSource(ctx))))
//
// The host behind it is as in the program examples/partnerapi. Frameworks that take
// middleware of net/http have examples of their own, such as examples/frameworks/echo.
package grpcguard
