package oauth_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/oauth"
	"github.com/claviger-auth/claviger/ratelimit"
)

// TestOrganizationsHaveABudgetOfTokens spreads tokens over many clients.
func TestOrganizationsHaveABudgetOfTokens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, &oauth.Options{MaxOrgTokens: 20, MaxTokens: 8})
		var last keys.Event
		h, err := oauth.NewHandler(e.server, "https://auth.example.com", &oauth.HandlerOptions{
			Path: "/v1/oauth", Hook: func(_ context.Context, e keys.Event) { last = e },
		})
		if err != nil {
			t.Fatal(err)
		}
		e.mux = http.NewServeMux()
		h.Register(e.mux)
		made := 0
		for range 10 {
			id, secret := e.register()
			for range 8 {
				switch got := e.ask("192.0.2.1:1", id, secret); got.status {
				case 200:
					made++
				case 429:
					want := keys.Event{Type: keys.Refused, Org: "acme", ID: id, Kind: keys.KindClient, Reason: keys.ReasonLimit}
					if last.Time = (time.Time{}); got.header.Get("Retry-After") == "" || last != want {
						t.Errorf("%v, %+v", got.header, last)
					}
				default:
					t.Fatalf("%d %s", got.status, got.text)
				}
			}
		}
		if made != 10 { // half of them at once
			t.Errorf("%d tokens", made)
		}
		other := caller
		other.Org = "globex"
		issued, err := e.server.Register(t.Context(), other, oauth.ClientSpec{})
		if err != nil {
			t.Fatal(err)
		}
		if got := e.ask("192.0.2.1:1", issued.Record.ID, issued.Text.Reveal()); got.status != 200 {
			t.Errorf("another organization: %d %s", got.status, got.text)
		}
	})
}

// A client that has as many tokens as it may have is told when there is another
// one. That depends on the lifetime of its tokens.
func TestTooManyTokens(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		lifetime time.Duration
		wait     string // seconds: a tenth of the lifetime
	}{
		"the server's lifetime": {0, "360"},
		"its own":               {100 * time.Second, "10"},
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

func TestLiveTokensAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, &oauth.Options{MaxTokens: 20})
		id, secret := env.register()
		otherID, otherSecret := env.register()
		var ends []time.Time // of the tokens that were granted
		for range 400 {
			grant, err := env.grant(id, secret, "")
			var limit *oauth.LimitError
			switch {
			case err == nil:
				ends = append(ends, grant.Token.ExpiresAt)
			case !errors.As(err, &limit) || !errors.Is(err, oauth.ErrTooManyTokens) || limit.Decision.RetryAfter <= 0:
				t.Fatal(err)
			}
			live := 0
			for _, end := range ends {
				if time.Now().Before(end) {
					live++
				}
			}
			if live > 20 {
				t.Fatalf("%d live tokens", live)
			}
			time.Sleep(30 * time.Second) // on the test's own clock
		}
		if len(ends) < 30 {
			t.Errorf("%d tokens in 200 minutes", len(ends))
		}
		if _, err := env.grant(otherID, otherSecret, ""); err != nil {
			t.Errorf("another client: %v", err)
		}
	})
}

// The clients of an organization share its budget, however different the lifetimes of
// their tokens are.
func TestLiveTokensOfAnOrganizationAreBounded(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		own   time.Duration // the lifetime of one client's tokens; those of the other live an hour
		most  int           // live tokens at any time
		least int           // that both get in 8 hours; each gets some
	}{
		{"a shorter lifetime", time.Minute, 20, 80},
		{"a longer lifetime", 10 * time.Hour, 30, 70},
		{"a lifetime of more hours than the burst has tokens", 50 * time.Hour, 30, 70},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				env := newEnv(t, &oauth.Options{MaxOrgTokens: 20})
				own, err := env.server.Register(t.Context(), caller, oauth.ClientSpec{TokenLifetime: tt.own})
				if err != nil {
					t.Fatal(err)
				}
				hour, err := env.server.Register(t.Context(), caller, oauth.ClientSpec{})
				if err != nil {
					t.Fatal(err)
				}
				var ends []time.Time // of the tokens that were granted
				made := make(map[string]int)
				for i := range 8 * 60 {
					c := []keys.Issued{own, hour}[i%2]
					grant, err := env.grant(c.Record.ID, c.Text.Reveal(), "")
					switch {
					case err == nil:
						made[c.Record.ID]++
						ends = append(ends, grant.Token.ExpiresAt)
					case !errors.Is(err, oauth.ErrTooManyTokens):
						t.Fatal(err)
					}
					ends = slices.DeleteFunc(ends, func(end time.Time) bool { return !time.Now().Before(end) })
					if len(ends) > tt.most {
						t.Fatalf("%d live tokens, want at most %d", len(ends), tt.most)
					}
					time.Sleep(time.Minute) // on the test's own clock
				}
				if a, b := made[own.Record.ID], made[hour.Record.ID]; a < 1 || b < 1 || a+b < tt.least {
					t.Errorf("the clients got %d and %d tokens in 8 hours, want at least %d together", a, b, tt.least)
				}
			})
		})
	}
}

// TestLifetimesOfOthers gets tokens for clients whose lifetime of tokens was not checked
// by Register, as those that a command line or an import made.
func TestLifetimesOfOthers(t *testing.T) {
	t.Parallel()
	for name, lifetime := range map[string]time.Duration{
		"a part of a second": time.Millisecond, "366 days": 366 * 24 * time.Hour, "longer than a limit can be": 367 * 24 * time.Hour,
		"the longest": keys.MaxTokenLifetime,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e := newEnv(t, &oauth.Options{MaxTokens: 40, TokenLifetime: 365 * 24 * time.Hour})
				issued, err := e.manager.Create(t.Context(), caller.Org, keys.Spec{Kind: keys.KindClient, TokenLifetime: lifetime})
				if err != nil {
					t.Fatal(err)
				}
				made := 0
				for ; made <= 20; made++ {
					grant, err := e.grant(issued.Record.ID, issued.Text.Reveal(), "")
					if errors.Is(err, oauth.ErrTooManyTokens) {
						break
					}
					if err != nil || !grant.Token.ExpiresAt.Equal(time.Now().Add(lifetime)) {
						t.Fatalf("token until %v, %v", grant.Token.ExpiresAt, err)
					}
				}
				if want := int(20 * min(1, 366*24*time.Hour.Hours()/lifetime.Hours())); made != want {
					t.Errorf("%d tokens at once, want %d", made, want)
				}
			})
		})
	}
}

// TestSpacesOfBudgets makes a token while limits cannot be taken: they are those of the
// client, in one space, and of its organization, in another.
func TestSpacesOfBudgets(t *testing.T) {
	t.Parallel()
	var buckets []ratelimit.Bucket
	limiter, err := ratelimit.NewLimiter(noLimits{}, &ratelimit.Options{
		OnFailure: ratelimit.InsecureFailOpen,
		Hook:      func(_ context.Context, b ratelimit.Bucket, _ error) { buckets = append(buckets, b) },
	})
	if err != nil {
		t.Fatal(err)
	}
	e := newEnv(t, &oauth.Options{Limiter: limiter})
	id, secret := e.register()
	if _, err := e.grant(id, secret, ""); err != nil {
		t.Fatal(err)
	}
	if want := []ratelimit.Bucket{{Space: "oauth", Name: id}, {Space: "oauth-org", Name: "acme"}}; !slices.Equal(buckets, want) {
		t.Errorf("taken from %v, want %v", buckets, want)
	}
}

// noLimits is a store of limits that is down.
type noLimits struct{}

func (noLimits) Take(context.Context, ratelimit.Bucket, ratelimit.Limit, time.Time, int) (ratelimit.Decision, error) {
	return ratelimit.Decision{}, errors.New("limits are down")
}
