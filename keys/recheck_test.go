package keys_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/storetest"
)

func TestRecheck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		clientRec, _, _, tokenText := pair(t, env)
		key := env.create(keys.Spec{Lifetime: time.Minute})
		keyPrincipal, err1 := env.verify(key.Text.Reveal())
		tokenPrincipal, err2 := env.verify(tokenText)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		check := func(name string, p keys.Principal, want error) {
			t.Helper()
			if _, err := env.manager.Recheck(t.Context(), p); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", name, err, want)
			}
		}
		check("a key", keyPrincipal, nil)
		check("a token", tokenPrincipal, nil)
		check("a session", keys.Principal{Org: "acme", ID: "session"}, nil)
		check("nobody", keys.Principal{Org: "acme", ID: "vck_live_x", Kind: keys.KindKey}, keys.ErrCallerEnded)
		foreign := keyPrincipal
		foreign.Org = "globex"
		check("another organization", foreign, keys.ErrCallerEnded)
		env.faults.Fail(storetest.Get, 1, errors.New("down"))
		check("a store that fails", keyPrincipal, keys.ErrUnavailable)
		if err := env.manager.Revoke(t.Context(), "acme", "", clientRec.ID); err != nil {
			t.Fatal(err)
		}
		check("a token whose client was revoked", tokenPrincipal, keys.ErrCallerEnded)
		time.Sleep(time.Minute) // on the test's own clock
		check("an expired key", keyPrincipal, keys.ErrCallerEnded)
		if err := env.manager.Revoke(t.Context(), "acme", "", key.Record.ID); err != nil {
			t.Fatal(err)
		}
		check("a revoked key", keyPrincipal, keys.ErrCallerEnded)
	})
}
