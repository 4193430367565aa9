package guardtest

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/store/storetest"
)

// The challenges of a guard without options.
const (
	noCredential = `Bearer realm="api"`
	invalidToken = `Bearer realm="api", error="invalid_token", error_description="The credential is not valid."`
)

func challenge(code, description string) string {
	return fmt.Sprintf(`Bearer realm="api", error=%q, error_description=%q`, code, description)
}

// admits: a good credential is let in, the handler finds the principal and the state
// of the quota, and the client sees that too.
func admits(s *suite) {
	s.serve(s.route("me", func(ctx context.Context, send func(string) error) error {
		p, found := keys.FromContext(ctx)
		a, also := middleware.FromContext(ctx)
		return send(fmt.Sprintf("%t %t %s %s %t %d", found, also, p.Org, p.Label, p.Scopes.Contains("read"), a.Quota.Remaining))
	}, middleware.Need{All: []string{"read"}}))
	text := s.Issue("acme", keys.Spec{RateLimit: 10, Label: "CI", Scopes: []string{"read"}}).Text.Reveal()
	for i, scheme := range []string{"Bearer ", "bearer "} {
		a := s.admitted("me", scheme+text)
		if want := "true true acme CI true " + strconv.Itoa(9-i); a.Body != want {
			s.Errorf("the handler saw %q, want %q", a.Body, want)
		}
		s.quota(a, 10, 9-i)
		if e := s.event(); e.Type != keys.Accepted || e.Org != "acme" {
			s.Errorf("the guard told of %+v", e)
		}
	}
}

// refusesCredentials: a request whose caller is not verified reaches no handler, and
// takes from no quota.
func refusesCredentials(s *suite) {
	s.serve(s.route("me", nil))
	good := s.key("acme", 10)
	revoked := s.Issue("acme", keys.Spec{})
	s.Revoke(revoked)
	paused := s.Issue("acme", keys.Spec{})
	yes := true
	if _, err := s.Manager.Change(s.Context(), "acme", keys.KindKey, paused.Record.ID, keys.Change{Disabled: &yes}); err != nil {
		s.Fatal(err)
	}
	other := New(s.TB, &keys.Options{Catalog: catalog}, nil) // whose keys nobody knows here
	invalid := func(description string) string { return challenge("invalid_token", description) }
	several := challenge("invalid_request", "The request has more than one credential.")
	for _, tt := range []struct {
		name      string
		lines     []string
		status    int
		code      string
		challenge string
	}{
		{"nothing", nil, 401, "unauthorized", noCredential},
		{"another scheme", []string{"Basic YWxhZGRpbjpvcGVuc2VzYW1l"}, 401, "unauthorized", noCredential},
		{"a scheme alone", []string{"Bearer"}, 401, "invalid_token", invalidToken},
		{"junk", []string{"Bearer junk"}, 401, "invalid_token", invalidToken},
		{"an unknown key", []string{"Bearer " + other.Key("acme")}, 401, "invalid_token", invalidToken},
		{"a damaged key", []string{good[:len(good)-1] + "!"}, 401, "invalid_token", invalidToken},
		{"a revoked key", []string{"Bearer " + revoked.Text.Reveal()}, 401, "invalid_token", invalid("The credential was revoked.")},
		{"a paused key", []string{"Bearer " + paused.Text.Reveal()}, 401, "invalid_token", invalid("The credential is paused.")},
		{"two lines", []string{good, good}, 400, "invalid_request", several},
		{"a good line and a bad one", []string{good, "Basic x"}, 400, "invalid_request", several},
		{"two in one line", []string{good + ", " + good}, 400, "invalid_request", several},
	} {
		s.Log(tt.name)
		a := s.refused(tt.status, tt.code, "me", tt.lines...)
		s.challenged(a, tt.challenge)
		s.quota(a, 0, 0)
		if e := s.event(); e.Type != keys.Refused {
			s.Errorf("the guard told of %+v", e)
		}
	}
	s.left("acme", 10, 10)
}

// refusesAddresses: a credential works from its networks alone.
func refusesAddresses(s *suite) {
	s.serve(s.route("me", nil))
	elsewhere := s.Issue("acme", keys.Spec{RateLimit: 10, Networks: s.networks("198.51.100.0/24")})
	here := s.Issue("globex", keys.Spec{RateLimit: 10, Networks: s.networks("127.0.0.0/8 ::1/128")})
	a := s.refused(403, "address_not_allowed", "me", "Bearer "+elsewhere.Text.Reveal())
	s.challenged(a, "")
	s.quota(a, 0, 0)
	s.left("acme", 10, 10)
	s.admitted("me", "Bearer "+here.Text.Reveal())
}

func (s *suite) networks(text string) keys.Networks {
	s.Helper()
	n, err := keys.ParseNetworks(text)
	if err != nil {
		s.Fatal(err)
	}
	return n
}

// refusesOverTheLimit: the last request is let in, and the one after it is told when
// to come back.
func refusesOverTheLimit(s *suite) {
	s.serve(s.route("me", nil))
	key := s.key("acme", 2)
	s.quota(s.admitted("me", key), 2, 1)
	s.quota(s.admitted("me", key), 2, 0)
	for range 2 {
		a := s.refused(429, "rate_limit_exceeded", "me", key)
		s.quota(a, 2, 0)
		s.challenged(a, "")
		if got := a.Header["Retry-After"]; len(got) != 1 || seconds(got[0]) < 1 || seconds(got[0]) > 1800 {
			s.Errorf("Retry-After is %q, want up to 1800", got)
		}
	}
	s.admitted("me", s.key("globex", 2)) // another organization has a bucket of its own
}

func seconds(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

// refusesWithoutScope: a missing scope is named in the challenge, and costs what a
// request costs.
func refusesWithoutScope(s *suite) {
	s.serve(
		s.route("all", nil, middleware.Need{All: []string{"read", "write"}}),
		s.route("any", nil, middleware.Need{Any: []string{"write", "admin"}}),
	)
	reader := s.key("acme", 10, "read")
	a := s.refused(403, "insufficient_scope", "all", reader)
	const missing = "The credential does not hold the scope that this request needs."
	s.challenged(a, challenge("insufficient_scope", missing)+`, scope="read write"`)
	s.quota(a, 10, 9)
	a = s.refused(403, "insufficient_scope", "any", reader)
	s.challenged(a, challenge("insufficient_scope", missing)+`, scope="write admin"`)
	s.quota(a, 10, 8)
	s.admitted("all", s.key("globex", 10, "read", "write"))
	s.admitted("any", s.key("globex", 10, "admin"))
}

// checksInOrder: the order is credential, network, limit, scope. A request that fails
// several checks gets the refusal of the first.
func checksInOrder(s *suite) {
	s.serve(s.route("write", nil, middleware.Need{All: []string{"write"}}))
	bound := "Bearer " + s.Issue("acme", keys.Spec{RateLimit: 1, Networks: s.networks("198.51.100.0/24")}).Text.Reveal()
	reader := s.key("acme", 1, "read")
	s.refused(403, "insufficient_scope", "write", reader) // and takes the one request that acme has
	s.left("acme", 1, 0)
	s.refused(429, "rate_limit_exceeded", "write", reader)                    // the limit before the scope
	s.refused(403, "address_not_allowed", "write", bound)                     // the network before the limit
	s.refused(401, "invalid_token", "write", bound[:len(bound)-1]+"!")        // the credential before the network
	s.refused(400, "invalid_request", "write", reader, bound)                 // that there is one credential before all
	s.admitted("write", s.key("globex", 1, "write"))                          // another organization has its quota
	s.refused(429, "rate_limit_exceeded", "write", s.key("globex", 1))        // all its keys share that
	s.refused(401, "unauthorized", "write", "Basic "+reader[len("Bearer "):]) // another scheme
}

// refusesIfTheStoreFails: if the store cannot answer, nobody is let in, and the answer
// is never 401.
func refusesIfTheStoreFails(s *suite) {
	s.serve(s.route("me", nil))
	key := s.key("acme", 10)
	for _, m := range []storetest.Method{storetest.Get, storetest.Take} {
		s.Faults.Fail(m, storetest.Always, errDown)
		a := s.refused(503, "temporarily_unavailable", "me", key)
		s.challenged(a, "")
		s.quota(a, 0, 0)
		if got := a.Header["Retry-After"]; len(got) != 1 || got[0] != "1" {
			s.Errorf("Retry-After is %q, want 1", got)
		}
		s.Faults.Heal()
	}
	s.admitted("me", key)
}

// takesTheCost: a request can cost more than one.
func takesTheCost(s *suite) {
	s.serve(s.route("export", nil, middleware.Need{Cost: 4}))
	key := s.key("acme", 10)
	s.quota(s.admitted("export", key), 10, 6)
	s.quota(s.admitted("export", key), 10, 2)
	s.quota(s.refused(429, "rate_limit_exceeded", "export", key), 10, 2)
	s.left("acme", 10, 2)
}

// managesOnAnotherBucket: who has used up the quota of an organization can still
// manage its credentials.
func managesOnAnotherBucket(s *suite) {
	s.serve(s.route("me", nil), s.route("revoke", nil, middleware.Need{All: []string{"admin"}, Manage: true}))
	key := s.key("acme", 1, "admin")
	s.admitted("me", key)
	s.refused(429, "rate_limit_exceeded", "me", key)
	a := s.admitted("revoke", key)
	if got := a.Header["Ratelimit"]; len(got) != 1 || !strings.HasPrefix(got[0], `"management";r=0;`) {
		s.Errorf("RateLimit is %q, want that of management", got)
	}
	s.refused(403, "insufficient_scope", "revoke", s.key("globex", 1))
	s.left("globex", 1, 1)
}
