package leaks_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/leaks"
	"github.com/claviger-auth/claviger/store/storetest"
)

const (
	ours    = "true_positive"
	notOurs = "false_positive"
)

// TestReport sends a report about credentials of every kind and state.
func TestReport(t *testing.T) {
	t.Parallel()
	e := newEnv(t, leaks.Revoke)
	good, revoked, paused, replaced := e.key(), e.key(), e.key(), e.key()
	client, err := e.manager.Create(t.Context(), "acme", keys.Spec{Kind: keys.KindClient})
	if err != nil {
		t.Fatal(err)
	}
	token, err := e.manager.IssueToken(t.Context(), client.Record, client.Record.Scopes, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	next, err := e.manager.Rotate(t.Context(), "acme", replaced.Record.ID, keys.Rotation{Overlap: keys.Forever})
	if err != nil {
		t.Fatal(err)
	}
	yes := true
	_, err1 := e.manager.Change(t.Context(), "acme", keys.KindKey, paused.Record.ID, keys.Change{Disabled: &yes})
	err2 := e.manager.Revoke(t.Context(), "acme", keys.KindKey, revoked.Record.ID)
	unknown, err3 := keys.MustFormat("key_", keys.Dotted, nil).New("")
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	nobodys := keys.MustFormat("key_", keys.Dotted, nil).Text(unknown).Reveal()
	e.told()
	texts := []string{
		good.Text.Reveal(), token.Text.Reveal(), revoked.Text.Reveal(), paused.Text.Reveal(), replaced.Text.Reveal(),
		nobodys, "junk", "", client.Text.Reveal(), good.Text.Reveal(),
	}
	body := report(texts...)
	want := answer(
		[2]string{texts[0], ours}, [2]string{texts[1], ours}, [2]string{texts[2], ours}, [2]string{texts[3], ours}, [2]string{texts[4], ours},
		[2]string{texts[5], notOurs}, [2]string{texts[6], notOurs}, [2]string{texts[7], notOurs}, [2]string{texts[8], notOurs}, [2]string{texts[9], ours},
	)
	w := e.send(e.signedRequest(body))
	if w.Code != 200 || w.Body.String() != want || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%d %s\nwant %s", w.Code, w.Body, want)
	}
	events := slices.Clone(e.events)
	if got := strings.Join(e.told(), " "); got != "revoked leaked revoked leaked leaked revoked leaked revoked leaked leaked" {
		t.Errorf("events: %s", got)
	}
	for _, event := range events {
		event.Time = time.Time{}
		want := keys.Event{Type: keys.Leaked, Org: "acme", ID: event.ID, Kind: keys.KindKey}
		switch event.ID {
		case token.Record.ID:
			want.Kind = keys.KindToken
		case revoked.Record.ID:
			want.Reason = keys.ReasonRevoked
		case paused.Record.ID:
			want.Reason = keys.ReasonPaused
		case replaced.Record.ID:
			want.ReplacedBy = next.Record.ID
		case good.Record.ID: // is there twice: the second time it is revoked
			want.Reason = event.Reason
		}
		if event.Type == keys.Leaked && event != want {
			t.Errorf("%+v, want %+v", event, want)
		}
	}
	for i, text := range texts[:5] {
		if _, err := e.manager.Verifier().Verify(t.Context(), text); !errors.Is(err, keys.ErrRevoked) {
			t.Errorf("credential %d after the report: %v", i, err)
		}
	}
	if _, err := e.manager.Verifier().Verify(t.Context(), next.Text.Reveal()); err != nil {
		t.Errorf("the successor of a leaked key: %v", err)
	}
	// The same report again changes nothing.
	if w := e.send(e.signedRequest(body)); w.Code != 200 || w.Body.String() != want {
		t.Errorf("again: %d %s", w.Code, w.Body)
	}
	if got := e.told(); slices.Contains(got, "revoked") {
		t.Errorf("again: events %v", got)
	}
	if !strings.Contains(e.log.String(), "by=github:secret-scanning") {
		t.Errorf("the log does not say who revoked:\n%s", &e.log)
	}
	for _, text := range texts {
		if _, secret, ok := strings.Cut(text, "."); ok && strings.Contains(e.log.String(), secret) {
			t.Error("the log has a secret")
		}
	}
}

// A report is no use of a credential, and does not come from the credential's networks.
func TestReportIsNoUse(t *testing.T) {
	t.Parallel()
	e := newEnv(t, tell)
	uses, err := keys.NewUses(e.faults, nil)
	if err != nil {
		t.Fatal(err)
	}
	manager, err := keys.NewManager(e.faults, &keys.Options{Uses: uses})
	if err != nil {
		t.Fatal(err)
	}
	networks, err := keys.ParseNetworks("10.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	issued, err := manager.Create(t.Context(), "acme", keys.Spec{Networks: networks})
	if err != nil {
		t.Fatal(err)
	}
	if e.handler, err = leaks.NewHandler(manager.Verifier(), leaks.PublicKeys{"one": &e.private.PublicKey}.Key, nil, nil); err != nil {
		t.Fatal(err)
	}
	text := issued.Text.Reveal()
	if w := e.send(e.signedRequest(report(text))); w.Body.String() != answer([2]string{text, ours}) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if last, err := manager.LastUses(t.Context(), issued.Record.ID); len(last) > 0 || err != nil {
		t.Errorf("%v, %v", last, err)
	}
	if _, err := manager.Verifier().Verify(t.Context(), text); err != nil {
		t.Errorf("without a policy: %v", err)
	}
}

// TestFailuresAreLogged checks that the handler's own log has the error of each policy
// that failed, and that of the public keys. It has no hook, so nobody else logs them.
func TestFailuresAreLogged(t *testing.T) {
	t.Parallel()
	e := newEnv(t, tell)
	down := func(context.Context, string) (*ecdsa.PublicKey, error) { return nil, errors.New("no keys") }
	public := leaks.PublicKeys{"one": &e.private.PublicKey}
	for _, tt := range []struct {
		name     string
		key      leaks.KeyFunc
		failures []error // of the policy
		want     []string
	}{
		{"policy", public.Key, []error{errors.New("mail 1 is down"), errors.New("mail 2 is down")}, []string{"mail 1 is down", "mail 2 is down"}},
		{"policy, and then the store", public.Key, []error{errors.New("mail is down"), keys.ErrUnavailable}, []string{"mail is down", keys.ErrUnavailable.Error()}},
		{"public keys", down, nil, []string{"no keys"}},
	} {
		policy := func(context.Context, leaks.Finding) error {
			err := tt.failures[0]
			tt.failures = tt.failures[1:]
			return err
		}
		var log bytes.Buffer
		h, err := leaks.NewHandler(e.manager.Verifier(), tt.key, policy, &leaks.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, e.signedRequest(report(e.key().Text.Reveal(), e.key().Text.Reveal())))
		for _, want := range tt.want {
			if w.Code != 503 || !strings.Contains(log.String(), want) || strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: %d %s, and the log %s", tt.name, w.Code, w.Body, &log)
			}
		}
	}
}

// While a store fails, nothing is called a false positive.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	for _, method := range []storetest.Method{storetest.Get, storetest.Update} {
		e := newEnv(t, leaks.Revoke)
		text := e.key().Text.Reveal()
		e.faults.Fail(method, storetest.Always, errors.New("down"))
		if w := e.send(e.signedRequest(report(text, text))); w.Code != 503 || strings.Contains(w.Body.String(), "positive") {
			t.Errorf("%v: %d %s", method, w.Code, w.Body)
		}
		e.faults.Heal()
		if w := e.send(e.signedRequest(report(text))); w.Body.String() != answer([2]string{text, ours}) {
			t.Errorf("%v, healed: %d %s", method, w.Code, w.Body)
		}
	}
}

// Nothing is done about a report that is not GitHub's.
func TestRefusals(t *testing.T) {
	t.Parallel()
	e := newEnv(t, leaks.Revoke)
	text := e.key().Text.Reveal()
	body := report(text)
	with := func(header, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(header, value) }
	}
	const id, signature = "Github-Public-Key-Identifier", "Github-Public-Key-Signature"
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := sign(t, e.private, body)
	unsigned := 0
	for _, tt := range []struct {
		name   string
		change func(*http.Request)
		body   string
		status int
		code   string
	}{
		{"no signature", func(r *http.Request) { r.Header.Del(signature) }, body, 403, "invalid_signature"},
		{"no identifier", func(r *http.Request) { r.Header.Del(id) }, body, 403, "invalid_signature"},
		{"an empty identifier", with(id, ""), body, 403, "invalid_signature"},
		{"an unknown identifier", with(id, "two"), body, 403, "invalid_signature"},
		{"a long identifier", with(id, strings.Repeat("one", 100)), body, 403, "invalid_signature"},
		{"two identifiers", func(r *http.Request) { r.Header.Add(id, "one") }, body, 403, "invalid_signature"},
		{"two signatures", func(r *http.Request) { r.Header.Add(signature, good) }, body, 403, "invalid_signature"},
		{"another key's signature", with(signature, sign(t, newKey(t), body)), body, 403, "invalid_signature"},
		{"another curve's signature", with(signature, sign(t, p384, body)), body, 403, "invalid_signature"},
		{"the signature of another body", with(signature, sign(t, e.private, body+" ")), body, 403, "invalid_signature"},
		{"no base64", with(signature, "!"), body, 403, "invalid_signature"},
		{"no ASN.1", with(signature, "AAAA"), body, 403, "invalid_signature"},
		{"more after the signature", with(signature, strings.TrimRight(good, "=")+"AAAA"), body, 403, "invalid_signature"},
		{"an empty body", nil, "", 400, "invalid_request"},
		{"no JSON", nil, "junk", 400, "invalid_request"},
		{"null", nil, "null", 400, "invalid_request"},
		{"an object", nil, `{"token":"x"}`, 400, "invalid_request"},
		{"a list of texts", nil, `["x"]`, 400, "invalid_request"},
		{"a number for a token", nil, `[{"token":1}]`, 400, "invalid_request"},
		{"two lists", nil, body + body, 400, "invalid_request"},
		{"too large", nil, strings.Repeat(" ", 64<<10) + body, 413, "payload_too_large"},
		{"a body that breaks off", func(r *http.Request) { r.Body = io.NopCloser(iotest.ErrReader(io.ErrUnexpectedEOF)) }, body, 400, "invalid_request"},
		{"GET", func(r *http.Request) { r.Method = "GET" }, body, 405, "method_not_allowed"},
	} {
		r := e.signedRequest(tt.body)
		if tt.change != nil {
			tt.change(r)
		}
		w := e.send(r)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), `"error":"`+tt.code+`"`) {
			t.Errorf("%s: %d %s, want %d %s", tt.name, w.Code, w.Body, tt.status, tt.code)
		}
		if w.Code == 403 {
			unsigned++
		}
		if (w.Code == 405) != (w.Header().Get("Allow") == "POST") {
			t.Errorf("%s: Allow %q", tt.name, w.Header().Get("Allow"))
		}
	}
	if _, err := e.manager.Verifier().Verify(t.Context(), text); err != nil {
		t.Errorf("the key after refused reports: %v", err)
	}
	if log := e.log.String(); strings.Contains(log, text) || !strings.Contains(log, `level=WARN msg="a report of leaks is not signed" from=192.0.2.1:1234`) {
		t.Errorf("the log has the key, or not who has not signed:\n%s", log)
	} else if n := strings.Count(log, "not signed"); n != unsigned {
		t.Errorf("%d reports are said not to be signed, of %d:\n%s", n, unsigned, log)
	}
	everyID, err := leaks.NewHandler(e.manager.Verifier(), func(context.Context, string) (*ecdsa.PublicKey, error) { return &e.private.PublicKey, nil }, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for n, status := range map[int]int{128: 200, 129: 403} {
		r, w := e.signedRequest("[]"), httptest.NewRecorder()
		r.Header.Set(id, strings.Repeat("k", n))
		if everyID.ServeHTTP(w, r); w.Code != status {
			t.Errorf("an identifier of %d bytes: %d", n, w.Code)
		}
	}
	// What GitHub may add one day is passed over, and a report may be empty.
	for body, want := range map[string]string{
		strings.Replace(body, "{", `{"more":[1],`, 1): answer([2]string{text, ours}), "[]": "[]\n",
	} {
		if w := e.send(e.signedRequest(body)); w.Code != 200 || w.Body.String() != want {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
}

// A caller that gives up in the middle of a report is told of no finding.
func TestCallerGivesUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	e := newEnv(t, func(*keys.Manager) leaks.Policy {
		return func(context.Context, leaks.Finding) error {
			cancel()
			return nil
		}
	})
	if w := e.send(e.signedRequest(report(e.key().Text.Reveal())).WithContext(ctx)); w.Code != 499 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// A client that hangs up is no failure of the service.
func TestClientGone(t *testing.T) {
	t.Parallel()
	e := newEnv(t, leaks.Revoke)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := e.signedRequest(report(e.key().Text.Reveal()))
	if w := e.send(r.WithContext(ctx)); w.Code != 499 || strings.Contains(e.log.String(), "level=ERROR msg=\"a report") {
		t.Errorf("%d %s\n%s", w.Code, w.Body, &e.log)
	}
}

func TestNewHandlerChecks(t *testing.T) {
	t.Parallel()
	e := newEnv(t, tell)
	key := leaks.PublicKeys{}.Key
	_, err1 := leaks.NewHandler(nil, key, nil, nil)
	_, err2 := leaks.NewHandler(e.manager.Verifier(), nil, nil, nil)
	_, err3 := leaks.NewHandler(e.manager.Verifier(), key, nil, &leaks.Options{MaxBody: -1})
	if err1 == nil || err2 == nil || err3 == nil {
		t.Errorf("%v, %v, %v", err1, err2, err3)
	}
}
