package keys_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
)

// A moment is when something happens to the caller of an operation.
type moment struct {
	name string
	set  func(env *env, do func())
}

// moments are those between the first look at a caller and the last.
var moments = []moment{
	{"before the call", func(_ *env, do func()) { do() }},
	{"before the write", func(e *env, do func()) { e.during = func(write string) { do() } }},
	{"after the write", func(e *env, do func()) { e.after = func(write string) { do() } }},
}

// blows are what can happen to a caller.
var blows = []struct {
	name string
	do   func(env *env, p keys.Principal) error
	want error
}{
	{"revoked", func(e *env, p keys.Principal) error {
		return e.host.Revoke(context.Background(), p.Org, "", p.LastingID())
	}, keys.ErrCallerEnded},
	{"paused", func(e *env, p keys.Principal) error {
		_, err := e.host.Change(context.Background(), p.Org, "", p.LastingID(), keys.Change{Disabled: new(true)})
		return err
	}, keys.ErrCallerEnded},
	{"narrowed", func(e *env, p keys.Principal) error {
		_, err := e.host.Change(context.Background(), p.Org, "", p.LastingID(), keys.Change{Scopes: new([]string{})})
		return err
	}, keys.ErrBeyond},
	{"expired", func(e *env, p keys.Principal) error {
		time.Sleep(2 * time.Hour) // on the test's own clock
		return nil
	}, keys.ErrCallerEnded},
}

// TestRightsCountAsTheyAre lets something happen to the caller of each operation
// at each moment: nothing that it did may stay.
func TestRightsCountAsTheyAre(t *testing.T) {
	t.Parallel()
	wide := []string{"keys:manage", "webhooks:manage"}
	type target struct{ key, client, paused keys.Record }
	for _, op := range []struct {
		name string
		do   func(a keys.Actor, to target) (keys.Issued, error)
	}{
		{"create a key", func(a keys.Actor, _ target) (keys.Issued, error) {
			return a.Create(context.Background(), keys.Spec{Scopes: wide})
		}},
		{"create a client", func(a keys.Actor, _ target) (keys.Issued, error) {
			return a.Create(context.Background(), keys.Spec{Kind: keys.KindClient, Scopes: wide})
		}},
		{"rotate", func(a keys.Actor, to target) (keys.Issued, error) {
			return a.Rotate(context.Background(), to.key.ID, keys.Rotation{})
		}},
		{"rotate a secret", func(a keys.Actor, to target) (keys.Issued, error) {
			return a.RotateSecret(context.Background(), to.client.ID, 0)
		}},
		{"change", func(a keys.Actor, to target) (keys.Issued, error) {
			rec, err := a.Change(context.Background(), keys.KindKey, to.key.ID, keys.Change{Scopes: &wide, Label: new("changed")})
			return keys.Issued{Record: rec}, err
		}},
		{"let go on", func(a keys.Actor, to target) (keys.Issued, error) {
			rec, err := a.Change(context.Background(), keys.KindKey, to.paused.ID, keys.Change{Disabled: new(false)})
			return keys.Issued{Record: rec}, err
		}},
	} {
		for _, m := range moments {
			for _, blow := range blows {
				for _, token := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s, %s %s, token %t", op.name, blow.name, m.name, token), func(t *testing.T) {
						t.Parallel()
						synctest.Test(t, func(t *testing.T) {
							env := newEnv(t, &keys.Options{Timeout: 24 * time.Hour}) // longer than the caller has
							p := actorOf(t, env, token)
							to := target{
								key: env.create(admin).Record, client: createClient(t, env, admin).Record, paused: env.create(admin).Record,
							}
							if _, err := env.manager.Change(t.Context(), "acme", "", to.paused.ID, keys.Change{Disabled: new(true)}); err != nil {
								t.Fatal(err)
							}
							before := env.records()
							m.set(env, func() {
								if err := blow.do(env, p); err != nil {
									t.Error(err)
								}
							})
							issued, err := op.do(env.manager.As(p), to)
							if !errors.Is(err, blow.want) || issued.Text.Len() > 0 || issued.Record.ID != "" {
								t.Errorf("%v, %v; want %v", issued.Record, err, blow.want)
							}
							env.unchanged(before, p.LastingID())
						})
					})
				}
			}
		}
	}
}

// actorOf returns the principal of a key that lives for an hour, or of a token of
// a client that does.
func actorOf(t *testing.T, env *env, token bool) keys.Principal {
	t.Helper()
	spec := admin
	spec.Lifetime = time.Hour
	if !token {
		return caller(t, env, spec)
	}
	issued, err := env.manager.IssueToken(t.Context(), createClient(t, env, spec).Record, scopes.MustParse("keys:manage webhooks:manage"), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	p, err := env.verify(issued.Text.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return p
}
