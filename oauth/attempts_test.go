package oauth_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/oauth"
	"github.com/claviger-auth/claviger/store/storetest"
	"github.com/google/go-cmp/cmp"
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
		var attempts sync.WaitGroup
		var waits [2]string
		for i, s := range []string{wrongSecret, secret} {
			attempts.Go(func() {
				w := httptest.NewRecorder()
				h.Token(w, post(tokenPath, formType, "grant_type=client_credentials&client_id="+id+"&client_secret="+s))
				waits[i] = w.Header().Get("Retry-After")
			})
			synctest.Wait() // so that the second one waits
		}
		time.Sleep(time.Second) // on the test's own clock
		release()
		attempts.Wait()
		if want := [2]string{"", "59"}; waits != want {
			t.Errorf("%q, want %q", waits, want)
		}
	})
}

// TestThrottleOfConcurrentFailures holds the store up, so that no attempt is
// known to have failed while the others arrive.
func TestThrottleOfConcurrentFailures(t *testing.T) {
	t.Parallel()
	for _, earlier := range []int{0, 4} {
		synctest.Test(t, func(t *testing.T) {
			env := newEnv(t, nil)
			id, secret := env.register()
			body := "grant_type=client_credentials&token=x&client_id=" + id + "&client_secret="
			for range earlier {
				env.form(tokenPath, body+wrongSecret)
			}
			reads := env.faults.Calls(storetest.Get)
			release := env.faults.Block(storetest.Get)
			statuses := make(chan int, 300)
			for i := range cap(statuses) {
				path := []string{tokenPath, revokePath, introspectPath}[i%3]
				go func() { statuses <- env.form(path, body+wrongSecret).status }()
			}
			synctest.Wait()
			release()
			count := make(map[int]int)
			for range cap(statuses) {
				count[<-statuses]++
			}
			if diff := cmp.Diff(map[int]int{401: 10 - earlier, 429: 290 + earlier}, count); diff != "" {
				t.Errorf("after %d failures: %s", earlier, diff)
			}
			if n := env.faults.Calls(storetest.Get) - reads; n != 10-earlier {
				t.Errorf("after %d failures the store was asked %d times", earlier, n)
			}
			time.Sleep(6 * time.Second) // on the test's own clock: one failure is left
			for range 2 {
				if got := env.form(tokenPath, body+secret); got.status != 200 {
					t.Errorf("after Retry-After: %d %s", got.status, got.text)
				}
			}
		})
	}
}

// TestConcurrentSuccesses has a client ask many times at once, when it has all
// its failures left and when it has one.
func TestConcurrentSuccesses(t *testing.T) {
	t.Parallel()
	for _, failures := range []int{0, 9} {
		synctest.Test(t, func(t *testing.T) {
			env := newEnv(t, nil)
			id, secret := env.register()
			body := "grant_type=client_credentials&client_id=" + id + "&client_secret="
			for range failures {
				if got := env.form(tokenPath, body+wrongSecret); got.status != 401 {
					t.Fatalf("%d %s", got.status, got.text)
				}
			}
			release := env.faults.Block(storetest.Get)
			statuses := make(chan int, 100)
			for range cap(statuses) {
				go func() { statuses <- env.form(tokenPath, body+secret).status }()
			}
			synctest.Wait()
			release()
			for range cap(statuses) {
				if got := <-statuses; got != 200 {
					t.Errorf("after %d failures: %d", failures, got)
				}
			}
		})
	}
}

// TestHangingUpInTheQueue ends requests that wait for others, which must not
// keep those behind them waiting: neither if they end in the queue, nor at the
// moment when it is their turn.
func TestHangingUpInTheQueue(t *testing.T) {
	t.Parallel()
	for _, inTurn := range []bool{false, true} {
		for range 20 {
			synctest.Test(t, func(t *testing.T) { hangUpInTheQueue(t, inTurn) })
		}
	}
}

func hangUpInTheQueue(t *testing.T, inTurn bool) {
	env := newEnv(t, nil)
	id, secret := env.register()
	h, err := oauth.NewHandler(env.server, "https://auth.example.com", &oauth.HandlerOptions{Failures: 1})
	if err != nil {
		t.Fatal(err)
	}
	release := env.faults.Block(storetest.Get)
	ctx, hangUp := context.WithCancel(t.Context())
	stayed, left := make(chan int, 20), make(chan int, 20)
	for i := range cap(stayed) + cap(left) {
		r, statuses := post(tokenPath, formType, "grant_type=client_credentials&client_id="+id+"&client_secret="+secret), stayed
		if i%2 == 1 {
			r, statuses = r.WithContext(ctx), left
		}
		go func() {
			w := httptest.NewRecorder()
			h.Token(w, r)
			statuses <- w.Code
		}()
		synctest.Wait() // so that they stand in the queue in this order
	}
	hangUp()
	if !inTurn {
		synctest.Wait()
		if n := len(left); n != cap(left) {
			t.Errorf("%d requests ended, of %d that hung up", n, cap(left))
		}
	}
	release()
	for range cap(stayed) {
		if got := <-stayed; got != 200 {
			t.Errorf("status %d", got)
		}
		if got := <-left; got != 499 {
			t.Errorf("hung up: status %d", got)
		}
	}
	if n := h.Attempts(); n != 0 {
		t.Errorf("%d queues are left with nobody in them", n)
	}
}
