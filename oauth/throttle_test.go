package oauth_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/oauth"
	"github.com/claviger-auth/claviger/store/storetest"
)

func TestFailuresAreThrottled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		id, secret := env.register()
		otherID, otherSecret := env.register()
		for range 30 { // successes cost nothing, and exempt one address alone
			if got := env.ask("[2001:db8::7]:1", id, secret); got.status != 200 {
				t.Fatalf("%d %s", got.status, got.text)
			}
		}
		for i := range 10 {
			if got := env.ask("[2001:db8::"+strconv.Itoa(i)+"]:1", id, wrongSecret); got.status != 401 {
				t.Fatalf("failure %d: %d %s", i+1, got.status, got.text)
			}
		}
		reads := env.faults.Calls(storetest.Get)
		time.Sleep(300 * time.Millisecond) // on the test's own clock; what is left is 6 s, rounded up
		for _, s := range []string{wrongSecret, secret} {
			got := env.ask("[2001:db8::1]:9", id, s)
			if got.status != 429 || got.body["error"] != "temporarily_unavailable" || got.header.Get("Retry-After") != "6" {
				t.Errorf("after ten failures: %d %v %s", got.status, got.header, got.text)
			}
			checkError(t, got)
		}
		if env.faults.Calls(storetest.Get) != reads {
			t.Error("a throttled request reads the store")
		}
		if got := env.ask("[2001:db8::1]:9", id, ""); got.status != 400 {
			t.Errorf("without a secret: %d %s", got.status, got.text)
		}
		if got := env.ask("[2001:db8::7]:9", id, secret); got.status != 200 {
			t.Errorf("the right secret from where it was right before: %d %s", got.status, got.text)
		}
		if got := env.ask("192.0.2.1:1", id, secret); got.status != 200 {
			t.Errorf("the right secret from another address: %d %s", got.status, got.text)
		}
		if got := env.ask("[2001:db8::1]:1", otherID, otherSecret); got.status != 200 {
			t.Errorf("another client from that address: %d %s", got.status, got.text)
		}
		time.Sleep(6 * time.Second) // the time in Retry-After, on the test's own clock
		if got := env.ask("[2001:db8::1]:1", id, secret); got.status != 200 {
			t.Errorf("after Retry-After: %d %s", got.status, got.text)
		}
	})
}

// TestThrottleWithoutAddress has failures count together if the host cannot tell
// addresses apart.
func TestThrottleWithoutAddress(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id, _ := env.register()
	h, err := oauth.NewHandler(env.server, "https://auth.example.com", &oauth.HandlerOptions{
		Failures: 2, Address: func(*http.Request) netip.Addr { return netip.Addr{} },
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{401, 401, 429} {
		w := httptest.NewRecorder()
		h.Token(w, post(tokenPath, formType, "grant_type=client_credentials&client_id="+id+"&client_secret=x"))
		if w.Code != want {
			t.Errorf("attempt %d: %d, want %d", i+1, w.Code, want)
		}
	}
}

// TestLongIDsAreThrottledTogether guesses with IDs that are longer than any client's. They
// count as one, so that nobody fills the memory with them.
func TestLongIDsAreThrottledTogether(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	h, err := oauth.NewHandler(env.server, "https://auth.example.com", &oauth.HandlerOptions{Failures: 2})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{401, 401, 429} {
		w := httptest.NewRecorder()
		id := strings.Repeat(string(rune('a'+i)), keys.MaxID+1)
		h.Token(w, post(tokenPath, formType, "grant_type=client_credentials&client_id="+id+"&client_secret=x"))
		if w.Code != want {
			t.Errorf("attempt %d: %d, want %d", i+1, w.Code, want)
		}
	}
}

// TestAddressIsThrottled has one address guess the secrets of many clients. It may fail
// as often as the limit says. A client behind the same address that succeeded before is
// not kept out, nor is anybody elsewhere.
func TestAddressIsThrottled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, nil)
		id, secret := e.register()
		newID, newSecret := e.register()
		if got := e.ask("192.0.2.1:1", id, secret); got.status != 200 {
			t.Fatalf("%d %s", got.status, got.text)
		}
		reads := e.faults.Calls(storetest.Get)
		for range 1000 { // what has no secret to be wrong is no failure
			r := withBasic(tokenPath, "grant_type=client_credentials", "x")
			r.RemoteAddr = "192.0.2.1:1"
			if got := e.serve(r); got.status != 401 {
				t.Fatalf("%d %s", got.status, got.text)
			}
		}
		failed := 0
		for i := range 1000 {
			switch got := e.ask("192.0.2.1:1", fmt.Sprintf("cc_%016x", i), wrongSecret); got.status {
			case 401:
				failed++
			case 429:
			default:
				t.Fatalf("%d %s", got.status, got.text)
			}
		}
		if failed != oauth.DefaultAddressFailures || e.faults.Calls(storetest.Get)-reads != failed {
			t.Errorf("%d failures, %d reads", failed, e.faults.Calls(storetest.Get)-reads)
		}
		for range 50 {
			if got := e.ask("192.0.2.1:2", id, secret); got.status != 200 {
				t.Fatalf("a client that worked before: %d %s", got.status, got.text)
			}
		}
		if got := e.ask("192.0.2.1:2", newID, newSecret); got.status != 429 {
			t.Errorf("a client that is new there: %d %s", got.status, got.text)
		}
		if got := e.ask("192.0.2.2:1", newID, newSecret); got.status != 200 {
			t.Errorf("another address: %d %s", got.status, got.text)
		}
		time.Sleep(time.Minute) // on the test's own clock
		if got := e.ask("192.0.2.1:2", newID, newSecret); got.status != 200 {
			t.Errorf("a minute later: %d %s", got.status, got.text)
		}
	})
}

// TestSuccessesAreForgotten looks at how long a success exempts, and what ends it.
func TestSuccessesAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, nil)
		id, secret := e.register()
		fill := func() {
			t.Helper()
			for range oauth.DefaultFailures + 1 {
				e.ask("192.0.2.1:1", id, wrongSecret)
			}
			if got := e.ask("192.0.2.1:1", id, wrongSecret); got.status != 429 {
				t.Fatalf("%d %s", got.status, got.text)
			}
		}
		if got := e.ask("192.0.2.1:1", id, secret); got.status != 200 {
			t.Fatalf("%d %s", got.status, got.text)
		}
		time.Sleep(time.Hour - time.Second) // on the test's own clock
		fill()
		if got := e.ask("192.0.2.1:1", id, secret); got.status != 200 {
			t.Errorf("within the hour: %d %s", got.status, got.text)
		}
		time.Sleep(time.Hour + time.Second) // on the test's own clock
		fill()
		if got := e.ask("192.0.2.1:1", id, secret); got.status != 429 {
			t.Errorf("after an hour: %d %s", got.status, got.text)
		}
		// Each success begins the hour anew, if some of it has passed.
		time.Sleep(time.Hour) // on the test's own clock
		for i := range 3 {
			if got := e.ask("192.0.2.1:1", id, secret); got.status != 200 {
				t.Fatalf("success %d: %d %s", i+1, got.status, got.text)
			}
			time.Sleep(50 * time.Minute) // on the test's own clock
			fill()
		}
		// A secret that has become wrong exempts nobody.
		if got := e.ask("192.0.2.3:1", id, secret); got.status != 200 {
			t.Fatalf("%d %s", got.status, got.text)
		}
		if err := e.server.Delete(t.Context(), caller, id); err != nil {
			t.Fatal(err)
		}
		for i := range oauth.DefaultFailures {
			if got := e.ask("192.0.2.3:1", id, secret); got.status != 401 {
				t.Fatalf("failure %d: %d %s", i+1, got.status, got.text)
			}
		}
		if got := e.ask("192.0.2.3:1", id, secret); got.status != 429 {
			t.Errorf("a deleted client: %d %s", got.status, got.text)
		}
	})
}
