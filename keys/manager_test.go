package keys_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
	"github.com/google/go-cmp/cmp"
)

func TestOrganizationsAreApart(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	mine := env.create(keys.Spec{Label: "mine"})
	id := mine.Record.ID
	for _, org := range []string{"globex", "", "ACME", "acme ", "acm"} {
		for _, id := range []string{id, "vck_live_unknown", ""} {
			_, get := env.manager.Get(t.Context(), org, "", id)
			_, change := env.manager.Change(t.Context(), org, "", id, keys.Change{Label: new("theirs")})
			_, rotate := env.manager.Rotate(t.Context(), org, id, keys.Rotation{Overlap: keys.Forever})
			revoke := env.manager.Revoke(t.Context(), org, "", id)
			for name, err := range map[string]error{"get": get, "change": change, "rotate": rotate, "revoke": revoke} {
				if err == nil || err.Error() != keys.ErrNotFound.Error() && !errors.Is(err, keys.ErrNotFound) {
					t.Errorf("%s of %q by %q: %v", name, id, org, err)
				}
			}
		}
	}
	if n, err := env.manager.RevokeAll(t.Context(), "globex"); n != 0 || err != nil {
		t.Errorf("revoke all of another: %d, %v", n, err)
	}
	for rec, err := range env.manager.List(t.Context(), keys.Query{Org: "globex", Kind: keys.KindKey}) {
		t.Errorf("another sees %v, %v", rec, err)
	}
	if after, err := env.manager.Get(t.Context(), "acme", "", id); err != nil || after.Version != 1 {
		t.Errorf("afterwards: %v, %v", after, err)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	var want []string
	for i := range 250 {
		rec := env.create(keys.Spec{}).Record
		want = append(want, rec.ID)
		if i%3 == 0 {
			if err := env.manager.Revoke(t.Context(), "acme", "", rec.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := env.manager.Create(t.Context(), "globex", keys.Spec{}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	list := func(after string) (ids []string) {
		for rec, err := range env.manager.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindKey, After: after}) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, rec.ID)
		}
		return ids
	}
	if diff := cmp.Diff(want, list("")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want[200:], list(want[199])); diff != "" {
		t.Error(diff)
	}
	for range env.manager.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindKey}) {
		break
	}
	env.faults.Fail(storetest.List, storetest.Always, errors.New("down"))
	n := 0
	for rec, err := range env.manager.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindKey}) {
		if n++; err == nil || rec.ID != "" {
			t.Errorf("%v, %v from a store that fails", rec, err)
		}
	}
	if n != 1 {
		t.Errorf("the iteration went on for %d steps after an error", n)
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	clientRec, tokenRec, _, text := pair(t, env)
	keyRec := env.create(keys.Spec{Lifetime: time.Minute}).Record
	if n, err := env.manager.Sweep(t.Context(), now()); n != 0 || err != nil {
		t.Errorf("swept %d, %v; nothing is over", n, err)
	}
	if _, err := env.verify(text); err != nil {
		t.Error(err)
	}
	if n, err := env.manager.Sweep(t.Context(), now().Add(2*time.Hour)); n != 1 || err != nil {
		t.Errorf("swept %d, %v; want the token", n, err)
	}
	for id, want := range map[string]error{tokenRec.ID: keys.ErrNotFound, clientRec.ID: nil, keyRec.ID: nil} {
		if _, err := env.manager.Get(t.Context(), "acme", "", id); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", id, err, want)
		}
	}
	cause := errors.New("down")
	env.faults.Fail(storetest.Sweep, storetest.Always, cause)
	if _, err := env.manager.Sweep(t.Context(), now()); !errors.Is(err, cause) {
		t.Errorf("a store that fails: %v", err)
	}
}

func TestConstructorsRefuse(t *testing.T) {
	t.Parallel()
	s := newEnv(t, nil).store
	for name, opts := range map[string]*keys.Options{
		"a negative limit":     {RateLimit: -1},
		"keys apart":           {Format: client},
		"tokens apart":         {TokenFormat: client},
		"keys in pieces":       {Format: keys.MustFormat("k_", keys.Apart, nil)},
		"tokens in pieces":     {TokenFormat: keys.MustFormat("t_", keys.Apart, nil)},
		"clients in one piece": {ClientFormat: keys.MustFormat("c_", keys.Fixed, nil)},
		"clients in one text":  {ClientFormat: partner},
		"the same prefix":      {Format: keys.MustFormat("oauth_", keys.Dotted, nil)},
		"a prefix of a prefix": {Format: keys.MustFormat("oauth_key_", keys.Dotted, nil)},
		"another way round":    {Format: keys.MustFormat("cc_x_", keys.Dotted, nil)},
		"keys before tokens":   {TokenFormat: keys.MustFormat("key_x_", keys.Fixed, nil)},
		"keys before clients":  {ClientFormat: keys.MustFormat("key_x_", keys.Apart, nil)},
		"tokens and clients":   {ClientFormat: keys.MustFormat("oauth_x_", keys.Apart, nil)},
		"a negative timeout":   {Timeout: -1},
	} {
		if _, err := keys.NewManager(s, opts); err == nil {
			t.Errorf("%s: no error from NewManager", name)
		}
		if _, err := keys.NewVerifier(s, opts); err == nil {
			t.Errorf("%s: no error from NewVerifier", name)
		}
	}
	if _, err := keys.NewManager(nil, nil); err == nil {
		t.Error("no store: no error from NewManager")
	}
	if _, err := keys.NewVerifier(nil, nil); err == nil {
		t.Error("no store: no error from NewVerifier")
	}
	if _, err := keys.NewManager(s, nil); err != nil {
		t.Errorf("no options: %v", err)
	}
}

// TestNothingLeaks runs a life cycle with a capturing hook and looks for
// every secret in what was stored, reported, listed and returned as an error.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	var seen strings.Builder
	var secrets []string
	note := func(values ...any) { fmt.Fprintf(&seen, "%v %+v %#v\n", values, values, values) }
	for range 3 {
		issued := env.create(keys.Spec{Label: "x"})
		_, secret, _ := strings.Cut(issued.Text.Reveal(), ".")
		secrets = append(secrets, secret, secret[:20], secret[20:40])
		next, err := env.manager.Rotate(t.Context(), "acme", issued.Record.ID, keys.Rotation{})
		if err != nil {
			t.Fatal(err)
		}
		_, secret, _ = strings.Cut(next.Text.Reveal(), ".")
		secrets = append(secrets, secret)
		_, refused := env.verify(issued.Text.Reveal())
		_, junk := env.verify(next.Text.Reveal() + "x")
		env.faults.Fail(storetest.Get, storetest.Always, errors.New("down"))
		_, down := env.verify(next.Text.Reveal())
		env.faults.Heal()
		note(issued, next, refused, junk, down)
	}
	for rec, err := range env.manager.List(context.Background(), keys.Query{Org: "acme", Kind: keys.KindKey}) {
		text, marshalErr := rec.Digest.MarshalText()
		note(rec, err, string(text), marshalErr)
	}
	note(env.events)
	for _, secret := range secrets {
		if strings.Contains(seen.String(), secret) {
			t.Errorf("the secret %s… leaked", secret[:4])
		}
	}
}

// A stuck store lists the same record again and again.
type stuck struct {
	keys.Store
	rec keys.Record
}

func (s stuck) List(context.Context, keys.Query) ([]keys.Record, error) {
	return []keys.Record{s.rec}, nil
}

// TestListsThatLeadNowhere lists from a store that does not go on after the last record.
func TestListsThatLeadNowhere(t *testing.T) {
	t.Parallel()
	m, err := keys.NewManager(stuck{new(store.Memory), goodRecord(t, keys.KindKey)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err = range m.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 1}) {
		if n++; n > 2 {
			t.Fatal("the list never ends")
		}
	}
	if n != 2 || !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("%d records, %v", n, err)
	}
}
