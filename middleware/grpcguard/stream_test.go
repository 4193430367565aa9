package grpcguard_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/middleware/grpcguard"
	"github.com/claviger-auth/claviger/middleware/guardtest"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store/storetest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// A watched stream is one in a bubble, whose credential a test can end.
type watched struct {
	*guardtest.Host
	t       *testing.T
	key     keys.Issued
	client  grpc.ClientStream
	began   time.Time
	handler chan error // what the handler returned
}

// watch opens a stream with a handler and a key that may read.
func watch(t *testing.T, opts *grpcguard.Options, h stream) *watched {
	w := &watched{Host: guardtest.New(t, options, &middleware.Options{Failures: 1}), t: t, began: time.Now(), handler: make(chan error, 1)}
	w.key = w.Issue("acme", keys.Spec{Scopes: []string{"read"}, RateLimit: 10})
	s := newServer(newInterceptor(t, w.Guard, grpcguard.Rules{method("watch"): grpcguard.Require("read")}, opts).ServerOptions()...)
	s.stream("watch", func(ss grpc.ServerStream) error {
		err := h(ss)
		w.handler <- err
		return err
	})
	l := bufconn.Listen(1 << 20) // in a bubble there is no network
	conn := s.serveOn(t, l, "passthrough:///", grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return l.DialContext(ctx)
	}), grpc.WithTransportCredentials(insecure.NewCredentials()))
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+w.key.Text.Reveal())
	var err error
	if w.client, err = conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method("watch")); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	return w
}

// ends fails unless the stream ends with a code, at a time since it began.
func (w *watched) ends(code codes.Code, reason string, after time.Duration) {
	w.t.Helper()
	var err error
	for m := new(wrapperspb.StringValue); err == nil; err = w.client.RecvMsg(m) {
		if m.Value == "late" {
			w.t.Error("a message came through after the end")
		}
	}
	info, _ := detailsOf(err)
	if status.Code(err) != code || info.GetReason() != reason {
		w.t.Errorf("the stream ended with %v (%s), want %v (%s)", err, info.GetReason(), code, reason)
	}
	if got := time.Since(w.began); got != after {
		w.t.Errorf("the stream ended after %v, want %v", got, after)
	}
}

// Handlers that wait, each in another way.
func receives(ss grpc.ServerStream) error {
	for {
		if err := ss.RecvMsg(new(wrapperspb.StringValue)); err != nil {
			return err
		}
	}
}

func waits(ss grpc.ServerStream) error {
	<-ss.Context().Done()
	return ss.Context().Err()
}

func sends(ss grpc.ServerStream) error { // more than the client is ready to take
	text := strings.Repeat("x", 1<<16)
	for {
		if err := ss.SendMsg(wrapperspb.String(text)); err != nil {
			return err
		}
	}
}

func hides(ss grpc.ServerStream) error { // the error
	_ = receives(ss)
	return nil
}

// A revoked credential ends its streams, whatever their handlers wait for.
func TestRevokedStreamsEnd(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]stream{"receives": receives, "waits": waits, "sends": sends, "hides": hides} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := watch(t, nil, h)
				time.Sleep(90 * time.Second) // on the test's own clock
				synctest.Wait()
				select {
				case err := <-w.handler:
					t.Fatalf("the handler returned %v", err)
				default:
				}
				w.Revoke(w.key)
				time.Sleep(time.Minute) // on the test's own clock
				synctest.Wait()
				if err := <-w.handler; name == "receives" && status.Code(err) != codes.Unauthenticated {
					t.Errorf("the handler saw %v", err)
				}
				w.ends(codes.Unauthenticated, "INVALID_TOKEN", 150*time.Second)
			})
		})
	}
}

// The cause of the context's end is the refusal, and no message comes through after
// it, in either direction.
func TestNothingPassesAfterTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, &grpcguard.Options{Recheck: time.Second}, func(ss grpc.ServerStream) error {
			<-ss.Context().Done()
			cause := context.Cause(ss.Context())
			for _, err := range []error{ss.RecvMsg(new(wrapperspb.StringValue)), ss.SendMsg(wrapperspb.String("late"))} {
				if !errors.Is(err, cause) || status.Code(err) != codes.Unauthenticated {
					t.Errorf("%v, want %v", err, cause)
				}
			}
			time.Sleep(time.Second) // on the test's own clock
			return nil
		})
		if err := w.client.SendMsg(wrapperspb.String("hello")); err != nil {
			t.Fatal(err)
		}
		w.Revoke(w.key)
		w.ends(codes.Unauthenticated, "INVALID_TOKEN", 2*time.Second)
	})
}

// A stream goes on for as long as its credential is good, is charged once, and ends as
// the handler says.
func TestGoodStreamsGoOn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		opts   *grpcguard.Options
		checks int
	}{
		{"by default", nil, 60},
		{"never again", &grpcguard.Options{Recheck: -1}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := watch(t, tt.opts, func(ss grpc.ServerStream) error {
					m := new(wrapperspb.StringValue)
					if err := ss.RecvMsg(m); err != nil {
						return err
					}
					if err := ss.RecvMsg(new(wrapperspb.StringValue)); !errors.Is(err, io.EOF) {
						return err
					}
					p, _ := keys.FromContext(ss.Context())
					if err := ss.SendMsg(wrapperspb.String(p.Org + " " + m.Value)); err != nil {
						return err
					}
					return status.Error(codes.DataLoss, "as the handler says")
				})
				before := w.Faults.Calls(storetest.Get)
				time.Sleep(time.Hour + time.Second) // on the test's own clock
				if got := w.Faults.Calls(storetest.Get) - before; got != tt.checks {
					t.Errorf("%d checks, want %d", got, tt.checks)
				}
				if got := w.Faults.Calls(storetest.Take); got != 1 {
					t.Errorf("charged %d times", got)
				}
				if err := errors.Join(w.client.SendMsg(wrapperspb.String("hello")), w.client.CloseSend()); err != nil {
					t.Fatal(err)
				}
				m := new(wrapperspb.StringValue)
				if err := w.client.RecvMsg(m); err != nil || m.Value != "acme hello" {
					t.Errorf("%q, %v", m.Value, err)
				}
				if err := w.client.RecvMsg(m); status.Code(err) != codes.DataLoss {
					t.Error(err)
				}
				if md, err := w.client.Header(); err != nil || len(md["ratelimit"]) != 1 {
					t.Errorf("%v, %v", md, err)
				}
			})
		})
	}
}

// Other reasons for which a stream ends, and some for which it does not.
func TestWhatEndsStreams(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	for _, tt := range []struct {
		name   string
		change func(w *watched)
		code   codes.Code
		reason string
		after  time.Duration
	}{
		{"a scope that is taken away", func(w *watched) {
			if _, err := w.Manager.Change(w.t.Context(), "acme", keys.KindKey, w.key.Record.ID, keys.Change{Scopes: new([]string)}); err != nil {
				w.t.Fatal(err)
			}
		}, codes.PermissionDenied, "INSUFFICIENT_SCOPE", time.Minute},
		{"a store that is silent for long", func(w *watched) {
			w.Faults.Fail(storetest.Get, storetest.Always, down)
		}, codes.Unavailable, "TEMPORARILY_UNAVAILABLE", 3 * time.Minute},
		{"a revocation after a store was silent", func(w *watched) {
			w.Faults.Fail(storetest.Get, 2, down)
			time.Sleep(200 * time.Second) // on the test's own clock
			w.Revoke(w.key)
			w.Faults.Fail(storetest.Get, 2, down)
		}, codes.Unauthenticated, "INVALID_TOKEN", 6 * time.Minute},
		{"failures of others at its address", func(w *watched) { // which do not
			time.Sleep(59 * time.Second) // on the test's own clock
			if _, err := w.Guard.CheckText(w.t.Context(), "junk", netip.Addr{}, middleware.Need{}); !errors.Is(err, keys.ErrMalformed) {
				w.t.Error(err)
			}
			time.Sleep(2 * time.Second) // on the test's own clock
			w.Revoke(w.key)
		}, codes.Unauthenticated, "INVALID_TOKEN", 2 * time.Minute},
		{"no quota is left", func(w *watched) { // which does not
			if d, err := w.Limiter.Take(w.t.Context(), "acme", ratelimit.MustPerMinute(10), 9); err != nil || !d.Allowed {
				w.t.Fatal(d, err)
			}
			time.Sleep(630 * time.Second) // on the test's own clock
			w.Revoke(w.key)
		}, codes.Unauthenticated, "INVALID_TOKEN", 11 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := watch(t, nil, receives)
				tt.change(w)
				w.ends(tt.code, tt.reason, tt.after)
			})
		})
	}
}

// The fields about the quota are in the header of a stream without any message, too.
func TestStreamsWithoutMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, nil, func(grpc.ServerStream) error { return nil })
		if md, err := w.client.Header(); err != nil || len(md["ratelimit"]) != 1 {
			t.Errorf("%v, %v", md, err)
		}
	})
}

// When the client hangs up, the handler ends, and nothing is checked any more.
func TestClientHangsUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, nil, receives)
		if err := w.client.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if err := <-w.handler; !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		before := w.Faults.Calls(storetest.Get)
		time.Sleep(time.Hour) // on the test's own clock
		if got := w.Faults.Calls(storetest.Get); got != before {
			t.Errorf("%d checks after the end", got-before)
		}
	})
}

// If the handler of a stream panics, the host's interceptor in front recovers from that,
// also while messages are on their way. The next stream is served.
func TestStreamsThatPanic(t *testing.T) {
	t.Parallel()
	host := guardtest.New(t, nil, nil)
	inFront := func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
		defer func() {
			if recover() != nil {
				err = status.Error(codes.Internal, "panic")
			}
		}()
		return handler(srv, ss)
	}
	auth := newInterceptor(t, host.Guard, grpcguard.Rules{method("watch"): grpcguard.Authenticated()}, nil)
	s := newServer(append([]grpc.ServerOption{grpc.ChainStreamInterceptor(inFront)}, auth.ServerOptions()...)...)
	s.stream("watch", func(ss grpc.ServerStream) error {
		m := new(wrapperspb.StringValue)
		if err := ss.RecvMsg(m); err != nil {
			return err
		}
		if m.Value == "panic" {
			panic("on purpose")
		}
		return ss.SendMsg(m)
	})
	conn := s.serve(t)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+host.Key("acme"))
	for text, want := range map[string]codes.Code{"panic": codes.Internal, "hello": codes.OK} {
		cs, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method("watch"))
		if err != nil {
			t.Fatal(err)
		}
		if err := cs.SendMsg(wrapperspb.String(text)); err != nil {
			t.Fatal(err)
		}
		m := new(wrapperspb.StringValue)
		if err := cs.RecvMsg(m); status.Code(err) != want || err == nil && m.Value != text {
			t.Errorf("%s: %q, %v", text, m.Value, err)
		}
	}
}

// What a host brings may panic in a goroutine of the Interceptor: its hook, when a
// credential is checked again, and an interceptor in front, when a message comes. The
// host's interceptor in front recovers from that too.
func TestPanicsOfHosts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &watched{t: t}
		w.Host = guardtest.New(t, options, &middleware.Options{Hook: func(_ context.Context, e keys.Event) {
			if e.Type == keys.Refused {
				panic("hook")
			}
		}})
		var found any
		inFront := func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
			defer func() {
				if found = recover(); found != nil {
					err = status.Error(codes.Internal, "panic")
				}
			}()
			return handler(srv, panicking{ss})
		}
		auth := newInterceptor(t, w.Guard, grpcguard.Rules{method("watch"): grpcguard.Authenticated()}, nil)
		s := newServer(append([]grpc.ServerOption{grpc.ChainStreamInterceptor(inFront)}, auth.ServerOptions()...)...)
		s.stream("watch", receives)
		l := bufconn.Listen(1 << 20)
		conn := s.serveOn(t, l, "passthrough:///", grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return l.DialContext(ctx)
		}))
		for _, tt := range []struct {
			want any
			end  func(cs grpc.ClientStream, key keys.Issued) error
		}{
			{"message", func(cs grpc.ClientStream, _ keys.Issued) error { return cs.SendMsg(wrapperspb.String("panic")) }},
			{"hook", func(_ grpc.ClientStream, key keys.Issued) error {
				return w.Manager.Revoke(t.Context(), "acme", keys.KindKey, key.Record.ID)
			}},
		} {
			key := w.Issue("acme", keys.Spec{})
			ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+key.Text.Reveal())
			cs, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method("watch"))
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.end(cs, key); err != nil {
				t.Fatal(err)
			}
			if err := cs.RecvMsg(new(wrapperspb.StringValue)); status.Code(err) != codes.Internal || found != tt.want {
				t.Errorf("%v, the interceptor found %v, want %v", err, found, tt.want)
			}
		}
	})
}

// A panicking stream panics when a message says so.
type panicking struct{ grpc.ServerStream }

func (s panicking) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	if text, ok := m.(*wrapperspb.StringValue); ok && text.Value == "panic" {
		panic("message")
	}
	return err
}
