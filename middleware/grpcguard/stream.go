package grpcguard

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// mostSilent is how many checks in a row may fail to decide about the credential, such
// as when the store does not answer, before the stream ends.
const mostSilent = 3

// Stream is a [grpc.StreamServerInterceptor].
func (i *Interceptor) Stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	c, err := i.admit(ss.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(c.ctx)
	defer cancel(nil)
	s := &stream{ServerStream: ss, ctx: ctx, quota: c.quota}
	if c.again != nil && i.opts.Recheck > 0 {
		s.ended = make(chan struct{})
		go func() {
			var err error
			if s.panicked = try(func() { err = i.watch(ctx, c.again) }); s.panicked != nil {
				err = status.Error(codes.Internal, "grpcguard: the check of the credential panicked")
			}
			if err != nil {
				s.reason = err
				close(s.ended)
				cancel(err)
			}
		}()
	}
	err = handler(srv, s)
	s.tellQuota()
	if refused := s.refusal(); refused != nil {
		if s.panicked != nil {
			panic(s.panicked) // here, interceptors in front can recover from it
		}
		return refused
	}
	return err
}

// try makes a call, and returns what it panicked with, or nil. A panic in a goroutine of
// its own would end the process, whatever interceptors the host has.
func try(call func()) (panicked any) {
	defer func() { panicked = recover() }()
	call()
	return nil
}

// watch checks the credential of a stream again and again, until it is refused or the
// stream has ended. It returns the refusal, or nil.
func (i *Interceptor) watch(ctx context.Context, again func() error) error {
	ticker := time.NewTicker(i.opts.Recheck)
	defer ticker.Stop()
	silent := 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		err := again()
		switch status.Code(err) {
		case codes.OK:
			silent = 0
		case codes.Unavailable, codes.ResourceExhausted: // exhausted by the failures of the address
			if silent++; silent == mostSilent {
				return err
			}
		default:
			return err
		}
	}
}

// A stream is a stream that was let in. Its context has the principal. It may end before
// its handler returns.
type stream struct {
	grpc.ServerStream
	ctx   context.Context
	quota *quota

	ended  chan struct{} // closed when the credential is refused; nil if it is never checked again
	reason error         // set before ended is closed

	panicked any // what the check of the credential panicked with; set before ended is closed
}

func (s *stream) Context() context.Context { return s.ctx }

// tellQuota sets the fields about the quota, if they are not sent yet.
func (s *stream) tellQuota() {
	if fields := s.quota.take(); len(fields) > 0 && s.ServerStream.SetHeader(fields) != nil {
		s.ServerStream.SetTrailer(fields)
	}
}

// SendHeader sends the fields about the quota too.
func (s *stream) SendHeader(md metadata.MD) error {
	return s.ServerStream.SendHeader(metadata.Join(s.quota.take(), md))
}

func (s *stream) SendMsg(m any) error {
	s.tellQuota()
	return s.unlessEnded(func() error { return s.ServerStream.SendMsg(m) })
}

func (s *stream) RecvMsg(m any) error {
	return s.unlessEnded(func() error { return s.ServerStream.RecvMsg(m) })
}

// refusal returns why the stream has ended, or nil.
func (s *stream) refusal() error {
	select {
	case <-s.ended: // never if ended is nil
		return s.reason
	default:
		return nil
	}
}

// unlessEnded makes a call that may wait for the client. If the stream ends meanwhile,
// it returns the refusal at once, and the call goes on until the handler has returned.
// So a message that was given to the call must not be changed, which grpc forbids
// anyway.
func (s *stream) unlessEnded(call func() error) error {
	if s.ended == nil {
		return call()
	}
	if err := s.refusal(); err != nil {
		return err
	}
	done, panicked := make(chan error, 1), make(chan any, 1)
	go func() {
		var err error
		if v := try(func() { err = call() }); v != nil {
			panicked <- v
			return
		}
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case v := <-panicked:
		panic(v)
	case <-s.ended:
		return s.reason
	}
}
