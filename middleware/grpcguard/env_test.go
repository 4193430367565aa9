package grpcguard_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/middleware/grpcguard"
	"github.com/claviger-auth/claviger/middleware/guardtest"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const service = "test.Routes"

func method(name string) string { return "/" + service + "/" + name }

type (
	unary  = func(ctx context.Context) (string, error)
	stream = func(ss grpc.ServerStream) error
)

// A server has methods that take and return strings.
type server struct {
	*grpc.Server
	desc grpc.ServiceDesc
}

func newServer(opts ...grpc.ServerOption) *server {
	return &server{grpc.NewServer(opts...), grpc.ServiceDesc{ServiceName: service, HandlerType: (*any)(nil)}}
}

func (s *server) unary(name string, h unary) {
	s.desc.Methods = append(s.desc.Methods, grpc.MethodDesc{
		MethodName: name,
		Handler: func(_ any, ctx context.Context, dec func(any) error, through grpc.UnaryServerInterceptor) (any, error) {
			req := new(wrapperspb.StringValue)
			if err := dec(req); err != nil {
				return nil, err
			}
			handle := func(ctx context.Context, _ any) (any, error) {
				text, err := h(ctx)
				return wrapperspb.String(text), err
			}
			if through == nil {
				return handle(ctx, req)
			}
			return through(ctx, req, &grpc.UnaryServerInfo{FullMethod: method(name)}, handle)
		},
	})
}

func (s *server) stream(name string, h stream) {
	s.desc.Streams = append(s.desc.Streams, grpc.StreamDesc{
		StreamName: name, ServerStreams: true, ClientStreams: true,
		Handler: func(_ any, ss grpc.ServerStream) error { return h(ss) },
	})
}

// serve starts the server, and returns a connection to it.
func (s *server) serve(t testing.TB, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return s.serveOn(t, l, l.Addr().String(), opts...)
}

func (s *server) serveOn(t testing.TB, l net.Listener, target string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	s.RegisterService(&s.desc, nil)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	conn, err := grpc.NewClient(target, append([]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		s.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return conn
}

// recovered is the interceptor in front that hosts have for handlers that panic.
func recovered(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (_ any, err error) {
	defer func() {
		if recover() != nil {
			err = status.Error(codes.Internal, "panic")
		}
	}()
	return handler(ctx, req)
}

// start starts the server of a suite, in which each guard of a route is an Interceptor.
func start(t testing.TB, routes []guardtest.Route) guardtest.Client {
	var rules []grpcguard.Rules
	streaming := make(map[string]bool)
	for _, r := range routes {
		for i, n := range r.Needs {
			if i == len(rules) {
				rules = append(rules, make(grpcguard.Rules))
			}
			rules[i][method(r.Name)] = grpcguard.Need(n)
		}
		streaming[r.Name] = r.Stream
	}
	opts := []grpc.ServerOption{grpc.ChainUnaryInterceptor(recovered)}
	for i := range rules {
		for _, r := range routes {
			if i >= len(r.Needs) { // a guard less than others
				rules[i][method(r.Name)] = grpcguard.Public()
			}
		}
		auth, err := grpcguard.New(routes[0].Guard, rules[i], nil)
		if err != nil {
			t.Fatal(err)
		}
		opts = append(opts, auth.ServerOptions()...)
	}
	s := newServer(opts...)
	for _, r := range routes {
		if r.Stream {
			s.stream(r.Name, func(ss grpc.ServerStream) error {
				return r.Handle(ss.Context(), func(text string) error { return ss.SendMsg(wrapperspb.String(text)) })
			})
			continue
		}
		s.unary(r.Name, func(ctx context.Context) (all string, _ error) {
			err := r.Handle(ctx, func(text string) error {
				all += text
				return nil
			})
			return all, err
		})
	}
	conn := s.serve(t)
	return func(ctx context.Context, q guardtest.Request) (guardtest.Answer, error) {
		ctx = metadata.NewOutgoingContext(ctx, metadata.MD{"authorization": q.Authorization})
		if streaming[q.Route] {
			return receive(ctx, conn, q)
		}
		var header, trailer metadata.MD
		resp := new(wrapperspb.StringValue)
		err := conn.Invoke(ctx, method(q.Route), wrapperspb.String(""), resp, grpc.Header(&header), grpc.Trailer(&trailer))
		return answer(err, header, trailer, resp.Value)
	}
}

// receive reads a stream.
func receive(ctx context.Context, conn *grpc.ClientConn, q guardtest.Request) (guardtest.Answer, error) {
	cs, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method(q.Route))
	if err == nil {
		err = errors.Join(cs.SendMsg(wrapperspb.String("")), cs.CloseSend())
	}
	if err != nil {
		return guardtest.Answer{}, err
	}
	var all strings.Builder
	for {
		m := new(wrapperspb.StringValue)
		if err = cs.RecvMsg(m); err != nil {
			break
		}
		all.WriteString(m.Value)
		q.Received(m.Value)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	header, _ := cs.Header()
	return answer(err, header, cs.Trailer(), all.String())
}

// answer returns the answer of a call as a suite wants it.
func answer(err error, header, trailer metadata.MD, body string) (guardtest.Answer, error) {
	a := guardtest.Answer{Status: 200, Header: make(http.Header), Body: body}
	for _, md := range []metadata.MD{header, trailer} {
		for name, values := range md {
			for _, value := range values {
				a.Header.Add(name, value)
			}
		}
	}
	if err == nil {
		return a, nil
	}
	info, retry := detailsOf(err)
	a.Status = map[codes.Code]int{
		codes.Unauthenticated: 401, codes.PermissionDenied: 403, codes.ResourceExhausted: 429,
		codes.Unavailable: 503, codes.Internal: 500,
	}[status.Code(err)]
	a.Body = ""
	switch info.GetReason() {
	case "":
		if a.Status != 500 {
			return a, err
		}
	case "INVALID_REQUEST":
		a.Status = 400
	}
	a.Code = strings.ToLower(info.GetReason())
	if a.Status == 503 {
		a.Header.Set("Retry-After", fmt.Sprint(int(retry.Seconds())))
	}
	return a, nil
}

// detailsOf returns the ErrorInfo of an error, and the time in its RetryInfo.
func detailsOf(err error) (info *errdetails.ErrorInfo, retry time.Duration) {
	for _, d := range status.Convert(err).Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			info = d
		case *errdetails.RetryInfo:
			retry = d.RetryDelay.AsDuration()
		}
	}
	return info, retry
}
