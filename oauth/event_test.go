package oauth_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/oauth"
	"github.com/claviger-auth/claviger/store/storetest"
)

// TestEvents checks what the hook is told of each request.
func TestEvents(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	id, secret := e.register()
	var events []keys.Event
	var from netip.Addr
	h, err := oauth.NewHandler(e.server, "https://auth.example.com", &oauth.HandlerOptions{
		Path: "/v1/oauth", Failures: 3, Hook: func(ctx context.Context, e keys.Event) {
			events, from = append(events, e), keys.AddressFromContext(ctx)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	e.mux = http.NewServeMux()
	h.Register(e.mux)
	for _, tt := range []struct {
		name, id, secret string
		fault            error
		want             keys.Event
	}{
		{"accepted", id, secret, nil, keys.Event{Type: keys.Accepted, Org: "acme", ID: id, Kind: keys.KindClient}},
		{"wrong", id, wrongSecret, nil, keys.Event{Type: keys.Refused, ID: id, Reason: keys.ReasonMismatch}},
		{"junk", "a\x00b", wrongSecret, nil, keys.Event{Type: keys.Refused, Reason: keys.ReasonMalformed}},
		{"down", "cc_0000000000000001", secret, context.DeadlineExceeded, keys.Event{Type: keys.Refused, ID: "cc_0000000000000001", Reason: keys.ReasonUnavailable}},
	} {
		events = nil
		if tt.fault != nil {
			e.faults.Fail(storetest.Get, 1, tt.fault)
		}
		e.ask("192.0.2.1:1", tt.id, tt.secret)
		if len(events) != 1 {
			t.Fatalf("%s: %+v", tt.name, events)
		}
		got := events[0]
		if (got.Err != nil) != (tt.fault != nil) || got.Time.IsZero() {
			t.Errorf("%s: %+v", tt.name, got)
		}
		if got.Type == keys.Refused && from != netip.MustParseAddr("192.0.2.1") {
			t.Errorf("%s: refused to %v", tt.name, from)
		}
		got.Err, got.Time = nil, time.Time{}
		if got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
	// A client whose secret is right is accepted, whatever it asks for.
	events = nil
	e.form(tokenPath, "grant_type=client_credentials&scope=none&client_id="+id+"&client_secret="+secret)
	if len(events) != 1 || events[0].Type != keys.Accepted || events[0].ID != id {
		t.Errorf("a scope that it lacks: %+v", events)
	}
	// A request gets one event, also if its client proved who it is and got nothing.
	e.faults.Fail(storetest.Insert, 1, context.DeadlineExceeded)
	events = nil
	e.ask("192.0.2.1:1", id, secret)
	if len(events) != 1 || events[0].Reason != keys.ReasonUnavailable {
		t.Errorf("the store failed: %+v", events)
	}
	token := e.token(id, secret)
	e.faults.Fail(storetest.Update, 1, context.DeadlineExceeded)
	events = nil
	e.form("/v1/oauth/revoke", "token="+token+"&client_id="+id+"&client_secret="+secret)
	if len(events) != 1 || events[0].Reason != keys.ReasonUnavailable {
		t.Errorf("the store failed in a revocation: %+v", events)
	}
	networks, err := keys.ParseNetworks("203.0.113.0/24")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.manager.Change(t.Context(), "acme", keys.KindClient, id, keys.Change{Networks: &networks}); err != nil {
		t.Fatal(err)
	}
	events = nil
	if e.ask("192.0.2.2:1", id, secret); len(events) != 1 || events[0].Type != keys.Refused || events[0].Reason != keys.ReasonNetwork || events[0].ID != id {
		t.Errorf("outside of its networks: %+v", events)
	}
	for range 4 {
		e.ask("192.0.2.1:1", id, wrongSecret)
	}
	if got := events[len(events)-1]; got.Reason != keys.ReasonLimit || got.ID != id {
		t.Errorf("over the limit: %+v", got)
	}
}

// TestEventsSayWhyClientsAreRefused compares events and answers. The answers do not differ,
// but an operator, and the trail, must not be told that a right secret was wrong.
func TestEventsSayWhyClientsAreRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, nil)
		var events []keys.Event
		h, err := oauth.NewHandler(e.server, "https://auth.example.com", &oauth.HandlerOptions{
			Path: "/v1/oauth", Hook: func(_ context.Context, e keys.Event) { events = append(events, e) },
		})
		if err != nil {
			t.Fatal(err)
		}
		e.mux = http.NewServeMux()
		h.Register(e.mux)
		second := time.Second
		var answers []string
		for _, tt := range []struct {
			want   string
			change func(id string) error
			secret func(string) string
		}{
			{keys.ReasonMismatch, nil, func(string) string { return wrongSecret }},
			{keys.ReasonMalformed, nil, func(secret string) string { return secret[1:] }},
			{keys.ReasonPaused, func(id string) error {
				_, err := e.manager.Change(t.Context(), "acme", keys.KindClient, id, keys.Change{Disabled: new(true)})
				return err
			}, nil},
			{keys.ReasonRevoked, func(id string) error { return e.manager.Revoke(t.Context(), "acme", keys.KindClient, id) }, nil},
			{keys.ReasonExpired, func(id string) error {
				_, err := e.manager.Change(t.Context(), "acme", keys.KindClient, id, keys.Change{Lifetime: &second})
				time.Sleep(second) // on the test's own clock
				return err
			}, nil},
			{keys.ReasonUnknown, nil, nil},
		} {
			id, secret := e.register()
			if tt.change != nil {
				if err := tt.change(id); err != nil {
					t.Fatal(err)
				}
			}
			if tt.secret != nil {
				secret = tt.secret(secret)
			}
			if tt.want == keys.ReasonUnknown {
				id = "cc_0000000000000000"
			}
			events = nil
			got := e.ask("192.0.2.1:1", id, secret)
			answers = append(answers, fmt.Sprint(got.status, got.header, got.text))
			if len(events) != 1 || events[0].Type != keys.Refused || events[0].Reason != tt.want || events[0].ID != id {
				t.Errorf("%s: %+v", tt.want, events)
			}
		}
		events = nil
		r := post(tokenPath, formType, "grant_type=client_credentials")
		r.Header.Set("Authorization", "Basic ?")
		got := e.serve(r)
		answers = append(answers, fmt.Sprint(got.status, got.header, got.text))
		if len(events) != 1 || events[0].Reason != keys.ReasonMalformed || events[0].ID != "" {
			t.Errorf("a field that cannot be read: %+v", events)
		}
		if answers = slices.Compact(answers); len(answers) != 1 {
			t.Errorf("answers that differ: %q", answers)
		}
	})
}

// A body is a request's body that knows the memory that it was read into first.
type body struct {
	io.Reader
	memory []byte
}

func (b *body) Read(p []byte) (int, error) {
	if b.memory == nil {
		b.memory = p
	}
	return b.Reader.Read(p)
}

func (b *body) Close() error { return nil }

// An event that its receiver keeps does not keep the body of the request.
func TestEventsShareNoMemoryWithRequests(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	var id string
	h, err := oauth.NewHandler(env.server, "https://auth.example.com", &oauth.HandlerOptions{
		Hook: func(_ context.Context, e keys.Event) { id = e.ID },
	})
	if err != nil {
		t.Fatal(err)
	}
	text := "client_id=cc_0000000000000001&grant_type=client_credentials&client_secret=" + wrongSecret
	b := &body{Reader: strings.NewReader(text)}
	r := post(tokenPath, formType, text)
	r.Body = b
	h.Token(httptest.NewRecorder(), r)
	at, from := uintptr(unsafe.Pointer(unsafe.StringData(id))), uintptr(unsafe.Pointer(unsafe.SliceData(b.memory)))
	if id == "" || at >= from && at < from+uintptr(len(b.memory)) {
		t.Errorf("ID %q is a part of the body", id)
	}
}
