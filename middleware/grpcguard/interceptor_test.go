package grpcguard_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/middleware/grpcguard"
	"github.com/claviger-auth/claviger/middleware/guardtest"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store/storetest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

var options = &keys.Options{Catalog: scopes.MustCatalog(scopes.Scope{Name: "read"}, scopes.Scope{Name: "write"})}

func TestGRPC(t *testing.T) {
	t.Parallel()
	guardtest.Test(t, start, &guardtest.Options{NotHTTP: true})
}

func newInterceptor(t testing.TB, g *middleware.Guard, rules grpcguard.Rules, opts *grpcguard.Options) *grpcguard.Interceptor {
	t.Helper()
	auth, err := grpcguard.New(g, rules, opts)
	if err != nil {
		t.Fatal(err)
	}
	return auth
}

// caller answers the organization of the caller.
func caller(ctx context.Context) (string, error) {
	p, found := keys.FromContext(ctx)
	return fmt.Sprint(p.Org, " ", found), nil
}

// invoke calls a unary method with a key, or without one.
func invoke(ctx context.Context, conn *grpc.ClientConn, name, key string, opts ...grpc.CallOption) (string, error) {
	if key != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+key)
	}
	resp := new(wrapperspb.StringValue)
	err := conn.Invoke(ctx, method(name), wrapperspb.String(""), resp, opts...)
	return resp.Value, err
}

// A method without a rule is open to nobody, whatever the credential.
func TestTable(t *testing.T) {
	t.Parallel()
	host := guardtest.New(t, options, nil)
	needed := []string{"write"}
	auth := newInterceptor(t, host.Guard, grpcguard.Rules{
		method("read"):   grpcguard.Require("read"),
		method("either"): grpcguard.RequireAny("read", "write"),
		method("any"):    grpcguard.Authenticated(),
		method("manage"): grpcguard.Manage("write"),
		method("public"): grpcguard.Public(),
		method("needs"):  grpcguard.Need(middleware.Need{All: needed}),
	}, nil)
	needed[0] = "read" // too late
	s := newServer(auth.ServerOptions()...)
	for _, name := range []string{"read", "either", "any", "manage", "public", "needs", "forgotten"} {
		s.unary(name, caller)
	}
	s.stream("forgottenstream", func(grpc.ServerStream) error {
		t.Error("the handler of a stream without a rule ran")
		return nil
	})
	conn := s.serve(t)
	reader, writer, none := host.Key("acme", "read"), host.Key("acme", "write"), host.Key("acme")
	for _, tt := range []struct {
		method, key string
		want        string
		code        codes.Code
		reason      string
	}{
		{"read", reader, "acme true", codes.OK, ""},
		{"read", writer, "", codes.PermissionDenied, "INSUFFICIENT_SCOPE"},
		{"either", writer, "acme true", codes.OK, ""},
		{"either", none, "", codes.PermissionDenied, "INSUFFICIENT_SCOPE"},
		{"any", none, "acme true", codes.OK, ""},
		{"any", "", "", codes.Unauthenticated, "UNAUTHORIZED"},
		{"manage", writer, "acme true", codes.OK, ""},
		{"manage", reader, "", codes.PermissionDenied, "INSUFFICIENT_SCOPE"},
		{"public", "", " false", codes.OK, ""},
		{"public", "junk", " false", codes.OK, ""},
		{"needs", reader, "", codes.PermissionDenied, "INSUFFICIENT_SCOPE"},
		{"forgotten", reader, "", codes.PermissionDenied, "NO_RULE"},
	} {
		got, err := invoke(t.Context(), conn, tt.method, tt.key)
		info, _ := detailsOf(err)
		if got != tt.want || status.Code(err) != tt.code || info.GetReason() != tt.reason {
			t.Errorf("%s: %q, %v, want %+v", tt.method, got, err, tt)
		}
	}
	twice := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+none)
	_, err := invoke(twice, conn, "any", none)
	if info, _ := detailsOf(err); status.Code(err) != codes.Unauthenticated || info.GetReason() != "INVALID_REQUEST" {
		t.Errorf("two credentials: %v", err)
	}
	cs, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, method("forgottenstream"))
	if err != nil {
		t.Fatal(err)
	}
	if err := cs.RecvMsg(new(wrapperspb.StringValue)); status.Code(err) != codes.PermissionDenied {
		t.Error(err)
	}
}

// Methods that manage credentials have a bucket of their own.
func TestManage(t *testing.T) {
	t.Parallel()
	host := guardtest.New(t, options, nil)
	auth := newInterceptor(t, host.Guard, grpcguard.Rules{
		method("read"):   grpcguard.Authenticated(),
		method("revoke"): grpcguard.Manage(),
	}, nil)
	s := newServer(auth.ServerOptions()...)
	s.unary("read", caller)
	s.unary("revoke", caller)
	conn := s.serve(t)
	key := host.Issue("acme", keys.Spec{RateLimit: 1}).Text.Reveal()
	for name, want := range map[string]string{"read": `"default";r=0;t=60`, "revoke": `"management";r=0;t=60`} {
		var header metadata.MD
		_, err := invoke(t.Context(), conn, name, key, grpc.Header(&header))
		if got := header.Get("ratelimit"); err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, %v, want %s", name, got, err, want)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	host := guardtest.New(t, nil, nil)
	s := newServer()
	s.unary("known", caller)
	s.unary("forgotten", caller)
	s.stream("forgottenstream", nil)
	s.RegisterService(&s.desc, nil)
	rules := grpcguard.Rules{method("known"): grpcguard.Authenticated(), method("Known"): grpcguard.Authenticated()}
	auth := newInterceptor(t, host.Guard, rules, nil)
	rules[method("forgotten")] = grpcguard.Public() // too late
	const want = `grpcguard: /test.Routes/forgotten has no rule
grpcguard: /test.Routes/forgottenstream has no rule
grpcguard: there is a rule for /test.Routes/Known, but no such method`
	if err := auth.Check(s); err == nil || err.Error() != want {
		t.Error(err)
	}
	rules = grpcguard.Rules{}
	for name := range strings.SplitSeq("h g f e d c b a", " ") {
		rules[method(name)] = grpcguard.Public()
	}
	lines := strings.Split(newInterceptor(t, host.Guard, rules, nil).Check(s).Error(), "\n")
	if len(lines) != 11 || !slices.IsSorted(lines) {
		t.Errorf("%q", lines)
	}
	names := []string{"a"}
	managed := grpcguard.Rules{"/a.B/C": grpcguard.Manage(names...)}
	names[0] = "not a scope"
	newInterceptor(t, host.Guard, managed, nil)
	rules = grpcguard.Rules{method("known"): grpcguard.Authenticated(), method("forgotten"): grpcguard.Public()}
	rules[method("forgottenstream")] = grpcguard.Public()
	if err := newInterceptor(t, host.Guard, rules, nil).Check(s); err != nil {
		t.Error(err)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	host := guardtest.New(t, nil, nil)
	if _, err := grpcguard.New(nil, nil, nil); err == nil {
		t.Error("no guard went well")
	}
	for _, tt := range []struct {
		name, method string
		rule         grpcguard.Rule
	}{
		{"the zero rule", "/a.B/C", grpcguard.Rule{}},
		{"a scope that is none", "/a.B/C", grpcguard.Require("a", "b c")},
		{"one of several", "/a.B/C", grpcguard.RequireAny(`"`)},
		{"a negative cost", "/a.B/C", grpcguard.Need(middleware.Need{Cost: -1})},
		{"no name", "", grpcguard.Public()},
		{"no slash in front", "a.B/C", grpcguard.Public()},
		{"no service", "//C", grpcguard.Public()},
		{"no method", "/a.B/", grpcguard.Public()},
		{"a service alone", "/a.B", grpcguard.Public()},
		{"a path", "/a.B/C/D", grpcguard.Public()},
	} {
		_, err := grpcguard.New(host.Guard, grpcguard.Rules{tt.method: tt.rule}, nil)
		if err == nil || !strings.HasPrefix(err.Error(), "grpcguard: ") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// The fields about the quota are once in the header of a call that is let in, or in the
// trailer if the handler sends the header, and in the trailer of a call that is refused.
func TestMetadata(t *testing.T) {
	t.Parallel()
	host := guardtest.New(t, options, nil)
	rules := grpcguard.Rules{
		method("quick"): grpcguard.Authenticated(), method("early"): grpcguard.Authenticated(),
		method("fails"): grpcguard.Authenticated(), method("both"): grpcguard.Require("read", "write"),
	}
	early := func(ctx context.Context) (string, error) {
		return "", grpc.SendHeader(ctx, metadata.Pairs("own", "1"))
	}
	fails := func(context.Context) (string, error) { return "", status.Error(codes.NotFound, "") }
	dial := func(opts *grpcguard.Options) *grpc.ClientConn {
		s := newServer(newInterceptor(t, host.Guard, rules, opts).ServerOptions()...)
		s.unary("quick", caller)
		s.unary("early", early)
		s.unary("fails", fails)
		s.unary("both", caller)
		return s.serve(t)
	}
	conn := dial(nil)
	few := func() string {
		return host.Issue(fmt.Sprint("org", host.Faults.Calls(storetest.Insert)), keys.Spec{RateLimit: 1}).Text.Reveal()
	}
	for _, tt := range []struct {
		conn            *grpc.ClientConn
		method          string
		times           int
		header, trailer string // "ratelimit"
		own, retry      string
	}{
		{conn, "quick", 1, `"default";r=0;t=60`, "", "", ""},
		{conn, "early", 1, "", `"default";r=0;t=60`, "1", ""},
		{conn, "fails", 1, `"default";r=0;t=60`, "", "", ""},
		{conn, "both", 1, "", `"default";r=0;t=60`, "", ""},
		{conn, "quick", 2, "", `"default";r=0;t=60`, "", "60"},
		{dial(&grpcguard.Options{OmitQuota: true}), "quick", 1, "", "", "", ""},
		{dial(&grpcguard.Options{OmitQuota: true}), "quick", 2, "", `"default";r=0;t=60`, "", "60"},
	} {
		key := few()
		var header, trailer metadata.MD
		for range tt.times {
			header, trailer = nil, nil
			_, _ = invoke(t.Context(), tt.conn, tt.method, key, grpc.Header(&header), grpc.Trailer(&trailer))
		}
		for _, c := range []struct {
			md         metadata.MD
			name, want string
		}{
			{header, "ratelimit", tt.header},
			{trailer, "ratelimit", tt.trailer},
			{header, "own", tt.own},
			{trailer, "retry-after", tt.retry},
		} {
			if got := strings.Join(c.md[c.name], " and "); got != c.want && !(c.name != "own" && near(got, c.want)) {
				t.Errorf("%s, %d times: %s is %q, want %q", tt.method, tt.times, c.name, got, c.want)
			}
		}
	}

	var trailer metadata.MD
	_, err := invoke(t.Context(), conn, "both", host.Key("acme", "read"), grpc.Trailer(&trailer))
	info, _ := detailsOf(err)
	if info.GetDomain() != "claviger" || info.GetMetadata()["scope"] != "read write" || len(status.Convert(err).Details()) != 1 {
		t.Errorf("%v, %v", err, info)
	}
	key := few()
	_, _ = invoke(t.Context(), conn, "quick", key)
	if _, err = invoke(t.Context(), conn, "quick", key); status.Code(err) != codes.ResourceExhausted {
		t.Error(err)
	}
	if _, retry := detailsOf(err); retry < 50*time.Second || retry > time.Minute {
		t.Errorf("retry after %v", retry)
	}
}

// What package grpc does with the context of a handler works behind a guard.
func TestFunctionsOfGRPC(t *testing.T) {
	t.Parallel()
	host := guardtest.New(t, options, nil)
	s := newServer(newInterceptor(t, host.Guard, grpcguard.Rules{method("one"): grpcguard.Authenticated(), method("many"): grpcguard.Authenticated()}, nil).ServerOptions()...)
	use := func(ctx context.Context) error {
		names, err := grpc.ClientSupportedCompressors(ctx)
		if err != nil || !slices.Contains(names, gzip.Name) {
			return fmt.Errorf("compressors %q, %v", names, err)
		}
		name, ok := grpc.Method(ctx)
		if !ok {
			return errors.New("no method")
		}
		return errors.Join(grpc.SetSendCompressor(ctx, gzip.Name), grpc.SetTrailer(ctx, metadata.Pairs("own", name)),
			grpc.SendHeader(ctx, metadata.Pairs("own", name)))
	}
	s.unary("one", func(ctx context.Context) (string, error) { return "good", use(ctx) })
	s.stream("many", func(ss grpc.ServerStream) error {
		return errors.Join(use(ss.Context()), ss.SendMsg(wrapperspb.String("good")))
	})
	conn, key := s.serve(t), host.Key("acme")
	var header, trailer metadata.MD
	text, err := invoke(t.Context(), conn, "one", key, grpc.Header(&header), grpc.Trailer(&trailer))
	if err != nil || text != "good" || header.Get("own") == nil || trailer.Get("own") == nil || len(trailer.Get("ratelimit")) != 1 {
		t.Errorf("%q, %v, header %v, trailer %v", text, err, header, trailer)
	}
	ss, err := conn.NewStream(metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+key), &grpc.StreamDesc{ServerStreams: true}, method("many"))
	if err != nil {
		t.Fatal(err)
	}
	got := new(wrapperspb.StringValue)
	if err = ss.RecvMsg(got); err != nil || got.Value != "good" {
		t.Errorf("%q, %v", got.Value, err)
	}
	if err = ss.RecvMsg(got); err != io.EOF || len(ss.Trailer().Get("ratelimit")) != 1 {
		t.Errorf("%v, trailer %v", err, ss.Trailer())
	}
}

// near reports whether a text has the number 60, and the other one a little less, as on
// a machine that is slow.
func near(got, want string) bool {
	for n := 50; n < 60; n++ {
		if got != "" && got == strings.Replace(want, "60", fmt.Sprint(n), 1) {
			return true
		}
	}
	return false
}

// Sources, Proxies and Failures of the guard hold, also on a Unix socket.
func TestGuardOptions(t *testing.T) {
	t.Parallel()
	proxies, err := middleware.NewProxies([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, true)
	if err != nil {
		t.Fatal(err)
	}
	host := guardtest.New(t, options, &middleware.Options{
		Proxies: proxies, Sources: []middleware.Source{{Header: "X-API-Key"}}, Failures: 2,
	})
	networks, err := keys.ParseNetworks("198.51.100.0/24")
	if err != nil {
		t.Fatal(err)
	}
	key := host.Issue("acme", keys.Spec{Networks: networks}).Text.Reveal()
	dial := func(network, address string) *grpc.ClientConn {
		s := newServer(newInterceptor(t, host.Guard, grpcguard.Rules{method("any"): grpcguard.Authenticated()}, nil).ServerOptions()...)
		s.unary("any", caller)
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		target := l.Addr().String()
		if network == "unix" {
			target = "unix:" + target
		}
		return s.serveOn(t, l, target)
	}
	for _, conn := range []*grpc.ClientConn{dial("tcp", "127.0.0.1:0"), dial("unix", t.TempDir()+"/s")} {
		call := func(from, key string) codes.Code {
			ctx := metadata.AppendToOutgoingContext(t.Context(), "x-forwarded-for", from, "x-api-key", key)
			_, err := invoke(ctx, conn, "any", "")
			return status.Code(err)
		}
		if got := call("198.51.100.7", key); got != codes.OK {
			t.Error(got)
		}
		if got := call("203.0.113.7", key); got != codes.PermissionDenied {
			t.Error(got)
		}
		for _, want := range []codes.Code{codes.Unauthenticated, codes.Unauthenticated, codes.ResourceExhausted} {
			if got := call("192.0.2."+fmt.Sprint(len(conn.Target())), "junk"); got != want {
				t.Errorf("%v, want %v", got, want)
			}
		}
	}
}

// The context of a call that is let in has the address of the caller, as the proxies of
// the guard say, and so the trail has it too.
func TestAddress(t *testing.T) {
	t.Parallel()
	proxies, err := middleware.NewProxies([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, false)
	if err != nil {
		t.Fatal(err)
	}
	host := guardtest.New(t, &keys.Options{Catalog: options.Catalog, Trail: true}, &middleware.Options{Proxies: proxies})
	rules := grpcguard.Rules{method("create"): grpcguard.Authenticated(), method("watch"): grpcguard.Authenticated(), method("public"): grpcguard.Public()}
	s := newServer(newInterceptor(t, host.Guard, rules, nil).ServerOptions()...)
	found := func(ctx context.Context) (string, error) { return keys.AddressFromContext(ctx).String(), nil }
	s.unary("create", func(ctx context.Context) (string, error) {
		if _, err := host.Manager.Create(ctx, "acme", keys.Spec{Label: "made"}); err != nil {
			return "", err
		}
		return found(ctx)
	})
	s.unary("public", found)
	s.stream("watch", func(ss grpc.ServerStream) error {
		text, _ := found(ss.Context())
		return ss.SendMsg(wrapperspb.String(text))
	})
	conn := s.serve(t)
	key := host.Key("acme")
	const want = "198.51.100.7"
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-forwarded-for", want)
	if got, err := invoke(ctx, conn, "create", key); got != want || err != nil {
		t.Errorf("a call has %q, %v", got, err)
	}
	if got, err := invoke(ctx, conn, "public", key); got != (netip.Addr{}).String() || err != nil {
		t.Errorf("a call that no guard looked at has %q, %v", got, err)
	}
	cs, err := conn.NewStream(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+key), &grpc.StreamDesc{ServerStreams: true}, method("watch"))
	if err != nil {
		t.Fatal(err)
	}
	m := new(wrapperspb.StringValue)
	if err := cs.RecvMsg(m); m.Value != want || err != nil {
		t.Errorf("a stream has %q, %v", m.Value, err)
	}
	var last keys.Entry
	for e, err := range host.Manager.Entries(t.Context(), "acme", "", 0) {
		if err != nil {
			t.Fatal(err)
		}
		last = e
	}
	if last.Action != keys.ActionCreated || last.AddressText() != want {
		t.Errorf("the trail has %+v", last)
	}
}
