package main

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/claviger-auth/claviger/keys"
)

// TestFairness floods the API with a leaked key, on the routes of the API and on
// those that manage keys, while an administrator of the same organization looks
// for the key and revokes it, and while another organization works. The flood
// takes from nobody: all that the others ask for is answered, however small their
// own limits are.
func TestFairness(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	create := func(org string, spec keys.Spec) keys.Issued {
		t.Helper()
		issued, err := e.api.manager.Create(t.Context(), org, spec)
		if err != nil {
			t.Fatal(err)
		}
		return issued
	}
	const asked = 50
	leaked := create("acme", keys.Spec{Label: "leaked", Scopes: []string{keysManage, webhooksManage}, RateLimit: 6000})
	admin := create("acme", keys.Spec{Scopes: []string{keysManage}, RateLimit: 2 * asked})
	other := create("globex", keys.Spec{RateLimit: 2 * asked})

	var flood sync.WaitGroup
	var spent, admitted, after atomic.Int64
	over, revoked := make(chan struct{}), make(chan struct{})
	started := make(chan struct{}, 8)
	for i := range 8 {
		flood.Go(func() {
			for n := 0; ; n++ {
				var late bool
				select {
				case <-over:
					return
				case <-revoked:
					late = true
				default:
				}
				path := [...]string{"/v1/chain", "/v1/keys?limit=1", "/v1/oauth/clients", "/api/v1/partner/webhooks"}[(i+n)%4]
				status := e.do("GET", path, leaked.Text.Reveal(), "").status
				switch {
				case late && status != 401:
					after.Add(1)
				case status == 200:
					admitted.Add(1)
				case status == 429:
					spent.Add(1)
				}
				if n == 0 {
					started <- struct{}{}
				}
			}
		})
	}
	for range 8 {
		<-started
	}

	var work sync.WaitGroup
	work.Go(func() { // the administrator
		for range asked {
			if got := e.do("GET", "/v1/keys", admin.Text.Reveal(), ""); got.status != 200 {
				t.Errorf("a list of the administrator's: %d %s", got.status, got.text)
			}
		}
		if got := e.do("DELETE", "/v1/keys/"+leaked.Record.ID, admin.Text.Reveal(), ""); got.status != 204 {
			t.Errorf("the revocation: %d %s", got.status, got.text)
		}
		close(revoked)
	})
	work.Go(func() { // the other organization
		for range asked {
			if got := e.do("GET", "/v1/chain", other.Text.Reveal(), ""); got.status != 200 {
				t.Errorf("another organization: %d %s", got.status, got.text)
			}
		}
	})
	work.Wait()
	close(over)
	flood.Wait()
	if after.Load() > 0 {
		t.Errorf("the leaked key was let in %d times after it was revoked", after.Load())
	}
	t.Logf("the flood: %d admitted, %d over the limit; the administrator and the other organization: %d of %d each",
		admitted.Load(), spent.Load(), asked, asked)
}
