package middleware_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/store/storetest"
)

// An answer that lasts goes on without its credential, unless its handler checks again:
// then it ends before the next event, whatever is wrong with the credential by then.
// That costs nothing of the quota, and the hook hears of the request once, and of the
// refusal.
func TestAnswersThatLast(t *testing.T) {
	t.Parallel()
	no, yes := []string{}, true
	for _, tt := range []struct {
		name  string
		again bool // the handler checks again
		end   func(e *env, id string) error
		want  string   // the events that arrive after the first
		told  []string // what the hook hears
	}{
		{"nothing happens", true, func(*env, string) error { return nil }, "two", []string{"accepted"}},
		{"revoked, and not checked", false, func(e *env, id string) error {
			return e.manager.Revoke(e.t.Context(), "acme", keys.KindKey, id)
		}, "two", []string{"accepted"}},
		{"revoked", true, func(e *env, id string) error {
			return e.manager.Revoke(e.t.Context(), "acme", keys.KindKey, id)
		}, "", []string{"accepted", "refused revoked"}},
		{"paused", true, func(e *env, id string) error {
			_, err := e.manager.Change(e.t.Context(), "acme", keys.KindKey, id, keys.Change{Disabled: &yes})
			return err
		}, "", []string{"accepted", "refused paused"}},
		{"a scope is taken away", true, func(e *env, id string) error {
			_, err := e.manager.Change(e.t.Context(), "acme", keys.KindKey, id, keys.Change{Scopes: &no})
			return err
		}, "", []string{"accepted", "refused insufficient_scope"}},
		{"the store does not answer", true, func(e *env, _ string) error {
			e.faults.Fail(storetest.Get, storetest.Always, io.ErrUnexpectedEOF)
			return nil
		}, "", []string{"accepted", "refused unavailable"}},
	} {
		for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				e := newEnv(t, nil)
				issued := e.issue("acme", keys.Spec{Scopes: []string{"admin"}, RateLimit: 1})
				arrived := make(chan struct{})
				need := middleware.Need{All: []string{"admin"}}
				srv := httptest.NewUnstartedServer(e.guard.Need(need)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.WriteString(w, "one\n")
					_ = http.NewResponseController(w).Flush()
					<-arrived
					if tt.again {
						if _, err := e.guard.Check(r, need); err != nil {
							return
						}
					}
					_, _ = io.WriteString(w, "two")
				})))
				if srv.EnableHTTP2 = http2; http2 {
					srv.StartTLS()
				} else {
					srv.Start()
				}
				defer srv.Close()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL, nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Authorization", "Bearer "+issued.Text.Reveal())
				resp, err := srv.Client().Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				body := bufio.NewReader(resp.Body)
				if line, err := body.ReadString('\n'); line != "one\n" || err != nil {
					t.Fatalf("%d %q, %v", resp.StatusCode, line, err)
				}
				if err := tt.end(e, issued.Record.ID); err != nil {
					t.Fatal(err)
				}
				close(arrived)
				if rest, err := io.ReadAll(body); string(rest) != tt.want || err != nil {
					t.Errorf("after that arrived %q, %v, want %q", rest, err, tt.want)
				}
				var told []string
				for _, event := range e.told() {
					told = append(told, strings.TrimSpace(event.Type.String()+" "+event.Reason))
				}
				if diff := cmp.Diff(tt.told, told); diff != "" {
					t.Errorf("the hook heard (-want +got):\n%s", diff)
				}
				if n := e.faults.Calls(storetest.Take); n != 1 {
					t.Errorf("the quota was charged %d times, want once", n)
				}
			})
		}
	}
}
