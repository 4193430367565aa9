package main

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// An entry has what the log of a request learns from the guard. It is in the request's
// context, where the guard's hook finds it.
type entry struct{ org, id, reason string }

type entryKey struct{}

// logHook returns a hook that logs what happens to credentials, and tells the
// request's own entry who called.
func logHook(log *slog.Logger) keys.Hook {
	changes := keys.LogEvents(log)
	return func(ctx context.Context, e keys.Event) {
		switch e.Type {
		case keys.Accepted, keys.Refused:
			if x, ok := ctx.Value(entryKey{}).(*entry); ok {
				x.org, x.id, x.reason = e.Org, e.ID, e.Reason
			}
			if e.Err != nil {
				changes(ctx, e)
			}
		default:
			changes(ctx, e)
		}
	}
}

// logRequests logs a line for each request. It has the route and not the path, since
// clients may put secrets into paths by mistake.
func logRequests(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		var who entry
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		r = r.WithContext(context.WithValue(r.Context(), entryKey{}, &who))
		defer func() { // also when the handler panics
			log.LogAttrs(r.Context(), slog.LevelInfo, "request",
				slog.String("method", r.Method), slog.String("route", r.Pattern), slog.Int("status", rec.status),
				slog.Duration("took", time.Since(start)),
				slog.String("org", who.org), slog.String("credential", who.id), slog.String("refused", who.reason))
		}()
		next.ServeHTTP(rec, r)
	})
}

// A recorder remembers the status of a response.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
