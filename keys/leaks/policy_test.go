package leaks_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/leaks"
)

func TestPause(t *testing.T) {
	t.Parallel()
	e := newEnv(t, leaks.Pause)
	key, over := e.key(), e.key()
	client, err := e.manager.Create(t.Context(), "acme", keys.Spec{Kind: keys.KindClient})
	if err != nil {
		t.Fatal(err)
	}
	token, err1 := e.manager.IssueToken(t.Context(), client.Record, client.Record.Scopes, time.Hour)
	err2 := e.manager.Revoke(t.Context(), "acme", keys.KindKey, over.Record.ID)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if w := e.send(e.signedRequest(report(key.Text.Reveal(), token.Text.Reveal(), over.Text.Reveal()))); w.Code != 200 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		for _, tt := range []struct {
			text keys.Secret
			want error
		}{{key.Text, keys.ErrPaused}, {token.Text, keys.ErrRevoked}, {over.Text, keys.ErrRevoked}} {
			if _, err := e.manager.Verifier().Verify(t.Context(), tt.text.Reveal()); err != tt.want {
				t.Errorf("%v, want %v", err, tt.want)
			}
		}
	}
}

// TestPolicySees checks what a policy is told, and that one failure of it does not
// keep it from the other credentials.
func TestPolicySees(t *testing.T) {
	t.Parallel()
	var found []leaks.Finding
	failure := errors.New("mail is down")
	e := newEnv(t, func(*keys.Manager) leaks.Policy {
		return func(ctx context.Context, f leaks.Finding) error {
			found = append(found, f)
			if p, ok := keys.FromContext(ctx); !ok || p.Org != "acme" || p.ID != leaks.Reporter {
				t.Errorf("the principal is %+v", p)
			}
			if len(found) == 1 {
				return failure
			}
			return nil
		}
	})
	a, b := e.key(), e.key()
	w := e.send(e.signedRequest(report(a.Text.Reveal(), b.Text.Reveal())))
	if w.Code != 503 || w.Header().Get("Retry-After") != "1" || strings.Contains(w.Body.String(), "mail") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if len(found) != 2 {
		t.Fatalf("%+v", found)
	}
	want := leaks.Finding{Org: "acme", ID: b.Record.ID, Kind: keys.KindKey, Type: "acme_key", URL: "https://example.com/file", Source: "commit"}
	if found[1] != want {
		t.Errorf("%+v, want %+v", found[1], want)
	}
	var errs []error
	for _, event := range e.events {
		if event.Type == keys.Leaked {
			errs = append(errs, event.Err)
		}
	}
	if len(errs) != 2 || errs[0] != failure || errs[1] != nil {
		t.Errorf("events with %v", errs)
	}
}
