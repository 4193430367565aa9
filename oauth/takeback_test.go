package oauth_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/storetest"
)

// TestWhatCouldNotBeTakenBack makes a client whose maker is revoked in that moment,
// and fails to take it back: the caller hears what it did wrong, and the host of the
// rest. A host is not told of a client that is taken back.
func TestWhatCouldNotBeTakenBack(t *testing.T) {
	t.Parallel()
	for _, down := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			e := newEnv(t, nil)
			maker, err := e.manager.Create(t.Context(), "acme", keys.Spec{})
			if err != nil {
				t.Fatal(err)
			}
			p, err := e.manager.Verifier().VerifyAt(t.Context(), maker.Text.Reveal(), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			release := e.faults.Block(storetest.Insert)
			answers := make(chan answer)
			go func() { answers <- e.manage(p, "POST", "/v1/oauth/clients", "") }()
			synctest.Wait() // until the client is about to be made
			if err := e.manager.Revoke(t.Context(), "acme", keys.KindKey, maker.Record.ID); err != nil {
				t.Fatal(err)
			}
			if down {
				e.faults.Fail(storetest.Update, storetest.Always, errors.New("no route to host"))
			}
			release()
			if a := <-answers; a.status != 401 {
				t.Errorf("%d %s", a.status, a.text)
			}
			if told := strings.Contains(e.log.String(), "managing clients failed"); told != down {
				t.Errorf("the store is down: %v; log %s", down, e.log)
			}
		})
	}
}
