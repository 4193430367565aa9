package oauth_test

import (
	"fmt"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/oauth"
	"github.com/claviger-auth/claviger/store/storetest"
)

// Attempts share locks and lists with those of other addresses, and nothing
// else: with one failure each, all of them are checked at the same time.
func TestAttemptsOfOthersDoNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const addresses = 300
		env := newEnv(t, nil)
		id, secret := env.register()
		h, err := oauth.NewHandler(env.server, "https://auth.example.com", &oauth.HandlerOptions{Failures: 1})
		if err != nil {
			t.Fatal(err)
		}
		reads := env.faults.Calls(storetest.Get)
		release := env.faults.Block(storetest.Get)
		statuses := make(chan int, addresses)
		for i := range addresses {
			go func() {
				r := post(tokenPath, formType, "grant_type=client_credentials&client_id="+id+"&client_secret="+secret)
				r.RemoteAddr = fmt.Sprintf("192.0.%d.%d:1", i/100, i%100)
				w := httptest.NewRecorder()
				h.Token(w, r)
				statuses <- w.Code
			}()
		}
		synctest.Wait()
		if n := env.faults.Calls(storetest.Get) - reads; n != addresses {
			t.Errorf("the store is asked %d times at once, want %d", n, addresses)
		}
		release()
		for range addresses {
			if got := <-statuses; got != 200 {
				t.Errorf("status %d", got)
			}
		}
	})
}

// A client that has as many tokens as it may have is told when there is another
// one, by its own life time of tokens if it has one.
func TestTooManyTokens(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		lifetime time.Duration
		wait     string // seconds: a tenth of the life time
	}{
		"the server's life time": {0, "360"},
		"its own":                {100 * time.Second, "10"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				env := newEnv(t, &oauth.Options{MaxTokens: 20})
				issued, err := env.server.Register(t.Context(), caller, oauth.ClientSpec{TokenLifetime: tt.lifetime})
				if err != nil {
					t.Fatal(err)
				}
				body := "grant_type=client_credentials&client_id=" + issued.Record.ID + "&client_secret=" + issued.Text.Reveal()
				for range 10 {
					if got := env.form(tokenPath, body); got.status != 200 {
						t.Fatalf("%d %s", got.status, got.text)
					}
				}
				if got := env.form(tokenPath, body); got.status != 429 || got.header.Get("Retry-After") != tt.wait || got.body["error"] != "temporarily_unavailable" {
					t.Errorf("%d %v %s, want to wait %s s", got.status, got.header, got.text, tt.wait)
				}
			})
		})
	}
}
