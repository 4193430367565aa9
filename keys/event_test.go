package keys_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/claviger-auth/claviger/keys"
)

func TestEventTypeString(t *testing.T) {
	t.Parallel()
	for et, want := range map[keys.EventType]string{
		0: "none", keys.Created: "created", keys.Changed: "changed", keys.Rotated: "rotated",
		keys.Revoked: "revoked", keys.Accepted: "accepted", keys.Refused: "refused", keys.UsedReplaced: "used_replaced",
		keys.UsedEnded: "used_ended", keys.Leaked: "leaked", 10: "EventType(10)",
	} {
		if got := et.String(); got != want {
			t.Errorf("%d is %q, want %q", uint8(et), got, want)
		}
	}
}

func TestLogEvents(t *testing.T) {
	t.Parallel()
	key := keys.Event{Org: "acme", ID: "vck_a", Kind: keys.KindKey}
	with := func(et keys.EventType, reason string, err error) keys.Event {
		e := key
		e.Type, e.Reason, e.Err = et, reason, err
		return e
	}
	by := keys.NewContext(t.Context(), keys.Principal{Org: "acme", ID: "vck_b"})
	self := keys.NewContext(t.Context(), keys.Principal{Org: "acme", ID: "vck_a"})
	token := keys.NewContext(t.Context(), keys.Principal{Org: "acme", ID: "oauth_b", Kind: keys.KindToken, Client: "vck_a"})
	for _, tt := range []struct {
		name  string
		ctx   context.Context
		event keys.Event
		want  string
	}{
		{"accepted", t.Context(), with(keys.Accepted, "", nil), `level=DEBUG msg="credential accepted" org=acme id=vck_a kind=key` + "\n"},
		{"created by another", by, with(keys.Created, "", nil), `level=INFO msg="credential created" org=acme id=vck_a kind=key by=vck_b` + "\n"},
		{"revoked by itself", self, with(keys.Revoked, "", nil), `level=INFO msg="credential revoked" org=acme id=vck_a kind=key` + "\n"},
		{"revoked by its token", token, with(keys.Revoked, "", nil), `level=INFO msg="credential revoked" org=acme id=vck_a kind=key by=oauth_b` + "\n"},
		{
			"a replaced key after its end", t.Context(),
			keys.Event{Type: keys.UsedEnded, Org: "acme", ID: "vck_a", Reason: keys.ReasonRevoked, ReplacedBy: "vck_b"},
			`level=WARN msg="credential used_ended" org=acme id=vck_a reason=revoked replaced_by=vck_b` + "\n",
		},
		{"found in public", t.Context(), with(keys.Leaked, "", nil), `level=WARN msg="credential leaked" org=acme id=vck_a kind=key` + "\n"},
		{"junk", t.Context(), keys.Event{Type: keys.Refused, Reason: keys.ReasonMalformed}, `level=INFO msg="credential refused" reason=malformed` + "\n"},
		{
			"the store is down", t.Context(), with(keys.Refused, keys.ReasonUnavailable, errors.New("down")),
			`level=ERROR msg="credential refused" org=acme id=vck_a kind=key reason=unavailable error=down` + "\n",
		},
	} {
		var out bytes.Buffer
		withoutTime := func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
		options := &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: withoutTime}
		keys.LogEvents(slog.New(slog.NewTextHandler(&out, options)))(tt.ctx, tt.event)
		if out.String() != tt.want {
			t.Errorf("%s:\n%swant\n%s", tt.name, out.String(), tt.want)
		}
		out.Reset()
		options.Level = slog.LevelError
		keys.LogEvents(slog.New(slog.NewTextHandler(&out, options)))(tt.ctx, tt.event)
		if (out.Len() > 0) != (tt.event.Err != nil) {
			t.Errorf("%s: a logger for errors gets %q", tt.name, out.String())
		}
	}
}

// TestClaims checks what is said of a credential that is refused.
func TestClaims(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	a, b := env.create(keys.Spec{Scopes: []string{"keys:manage"}}), env.create(keys.Spec{})
	c, err := partner.New("")
	if err != nil {
		t.Fatal(err)
	}
	acme := keys.Claim{Org: "acme", ID: a.Record.ID, Kind: keys.KindKey}
	old, revoked, paused := env.create(keys.Spec{}), env.create(keys.Spec{}), env.create(keys.Spec{})
	replaced := func(issued keys.Issued) keys.Claim {
		next, err := env.manager.Rotate(t.Context(), "acme", issued.Record.ID, keys.Rotation{Overlap: keys.Forever})
		if err != nil {
			t.Fatal(err)
		}
		return keys.Claim{Org: "acme", ID: issued.Record.ID, Kind: keys.KindKey, ReplacedBy: next.Record.ID}
	}
	oldClaim, revokedClaim, pausedClaim := replaced(old), replaced(revoked), replaced(paused)
	unproved := oldClaim
	unproved.ReplacedBy = ""
	yes := true
	err1 := env.manager.Revoke(t.Context(), "acme", keys.KindKey, revoked.Record.ID)
	_, err2 := env.manager.Change(t.Context(), "acme", keys.KindKey, paused.Record.ID, keys.Change{Disabled: &yes})
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, text string
		claim      keys.Claim
		err        error
	}{
		{"a good key", a.Text.Reveal(), acme, nil},
		{"a wrong secret", partner.Text(withSecretOf(t, a.Record.ID, b.Text.Reveal())).Reveal(), acme, keys.ErrMismatch},
		{"an unknown key", partner.Text(c).Reveal(), keys.Claim{ID: c.ID}, keys.ErrUnknown},
		{"junk", "junk", keys.Claim{}, keys.ErrMalformed},
		{"a replaced key", old.Text.Reveal(), oldClaim, nil},
		{"a replaced key, with a wrong secret", partner.Text(withSecretOf(t, old.Record.ID, b.Text.Reveal())).Reveal(), unproved, keys.ErrMismatch},
		{"a replaced key that was revoked", revoked.Text.Reveal(), revokedClaim, keys.ErrRevoked},
		{"a replaced key that is paused", paused.Text.Reveal(), pausedClaim, keys.ErrPaused},
	} {
		p, claim, err := env.verifier.VerifyClaim(t.Context(), tt.text, now())
		if claim != tt.claim || err != tt.err || (p == keys.Principal{}) != (err != nil) {
			t.Errorf("%s: %+v, %+v, %v", tt.name, p, claim, err)
		}
	}
}
