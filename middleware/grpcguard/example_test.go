package grpcguard_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/middleware/grpcguard"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	pb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// A server with the health service, one of whose methods needs a scope and one of which
// is open to everybody, and two clients.
func Example() {
	db := new(store.Memory)
	opts := &keys.Options{Catalog: scopes.MustCatalog(scopes.Scope{Name: "health:list"})}
	manager := must(keys.NewManager(db, opts))
	limiter := must(ratelimit.NewLimiter(db, nil))
	guard := must(middleware.NewGuard(manager.Verifier(), limiter, nil))

	auth := must(grpcguard.New(guard, grpcguard.Rules{
		pb.Health_List_FullMethodName:  grpcguard.Require("health:list"),
		pb.Health_Check_FullMethodName: grpcguard.Public(),
		pb.Health_Watch_FullMethodName: grpcguard.Authenticated(),
	}, nil))
	srv := grpc.NewServer(auth.ServerOptions()...)
	pb.RegisterHealthServer(srv, health.NewServer())
	if err := auth.Check(srv); err != nil {
		log.Fatal(err)
	}
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	go srv.Serve(listener)
	defer srv.Stop()

	for _, scopes := range [][]string{{"health:list"}, nil} {
		key := must(manager.Create(context.Background(), "acme", keys.Spec{Scopes: scopes}))
		conn := must(grpc.NewClient(listener.Addr().String(),
			grpc.WithTransportCredentials(insecure.NewCredentials()), // on this machine alone
			grpc.WithPerRPCCredentials(grpcguard.InsecureTransport(grpcguard.Key(key.Text)))))
		defer conn.Close()
		_, err := pb.NewHealthClient(conn).List(context.Background(), new(pb.HealthListRequest))
		fmt.Printf("%v: %q\n", status.Code(err), status.Convert(err).Message())
	}
	// Output:
	// OK: ""
	// PermissionDenied: "The credential does not hold the scope that this request needs."
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
