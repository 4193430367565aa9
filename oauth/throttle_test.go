package oauth_test

import (
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/claviger-auth/claviger/keys"
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

// Whoever has waited for another attempt is told how long to wait from now on, and
// not from when it came.
func TestTimePassesInTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		id, secret := env.register()
		h, err := oauth.NewHandler(env.server, "https://auth.example.com", &oauth.HandlerOptions{Failures: 1})
		if err != nil {
			t.Fatal(err)
		}
		release := env.faults.Block(storetest.Get)
		waits := make(chan string, 2)
		for _, s := range []string{wrongSecret, secret} {
			go func() {
				w := httptest.NewRecorder()
				h.Token(w, post(tokenPath, formType, "grant_type=client_credentials&client_id="+id+"&client_secret="+s))
				waits <- w.Header().Get("Retry-After")
			}()
			synctest.Wait() // so that the second one waits
		}
		time.Sleep(time.Second) // on the test's own clock
		release()
		if first, second := <-waits, <-waits; first != "" || second != "59" {
			t.Errorf("%q and %q, want none and 59", first, second)
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
