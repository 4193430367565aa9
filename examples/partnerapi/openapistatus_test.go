package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

// TestOpenAPIStatuses has the API answer each operation with each status that the
// document names.
func TestOpenAPIStatuses(t *testing.T) {
	t.Parallel()
	for i, o := range newEnv(t).operations() {
		if testing.Short() && i%4 != 0 {
			continue
		}
		for text := range o.Responses {
			t.Run(o.ID+" "+text, func(t *testing.T) {
				t.Parallel()
				want, err := strconv.Atoi(text)
				if err != nil {
					t.Fatal(err)
				}
				c := newCase(t, o)
				if got := c.provoke(want); got.status != want {
					t.Errorf("%d %s, want %d", got.status, got.text, want)
				}
			})
		}
	}
}

// A statusCase is a request that an operation answers with success, until one thing
// about it is changed.
type statusCase struct {
	*env
	faults *storetest.Faults
	operation
	id         string // of the resource
	query      string
	body, kind string
	header     http.Header
}

func newCase(t *testing.T, o operation) *statusCase {
	t.Helper()
	faults := storetest.NewFaults(new(store.Memory))
	c := &statusCase{
		env: newEnvOver(t, &stores{records: faults, limits: faults, uses: faults, close: func() error { return nil }}), faults: faults,
		operation: o, kind: "application/json", header: make(http.Header),
	}
	c.id = c.resource(o.path)
	switch {
	case o.ID == "createWebhook":
		c.body = `{"url":"https://example.com/"}`
	case slices.Contains([]string{"issueToken", "revokeToken", "introspect"}, o.ID):
		id, secret := c.client(c.admin, "")
		c.kind = "application/x-www-form-urlencoded"
		form := url.Values{"client_id": {id}, "client_secret": {secret}}
		if o.ID == "issueToken" {
			form.Set("grant_type", "client_credentials")
		} else {
			form.Set("token", c.token(id, secret))
		}
		c.body = form.Encode()
	}
	if o.bearer() {
		c.header.Set("Authorization", "Bearer "+c.admin)
	}
	return c
}

// request sends the request.
func (c *statusCase) request() response {
	c.t.Helper()
	path := strings.ReplaceAll(c.path, "{id}", c.id) + c.query
	req, err := http.NewRequestWithContext(c.t.Context(), c.method, c.server.URL+path, strings.NewReader(c.body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header = c.header.Clone()
	if c.body != "" {
		req.Header.Set("Content-Type", c.kind)
	}
	return c.send(req)
}

// as gives the request a new key, which has all scopes and what spec says.
func (c *statusCase) as(spec keys.Spec) {
	c.t.Helper()
	spec.Scopes = catalog.Grantable().Names()
	issued, err := c.api.manager.Create(c.t.Context(), "acme", spec)
	if err != nil {
		c.t.Fatal(err)
	}
	c.header.Set("Authorization", "Bearer "+issued.Text.Reveal())
}

// invalidValues are bodies and queries that have a value out of its bounds.
var invalidValues = map[string]struct{ query, body string }{
	"listKeys": {"?limit=0", ""}, "createKey": {"", `{"expires_in":0}`}, "changeKey": {"", `{"rate_limit_per_minute":0}`},
	"rotateKey": {"", `{"overlap":-1}`}, "revokeKey": {"?descendants=x", ""},
	"listClients": {"?cursor=x", ""}, "createClient": {"", `{"scopes":["leads:read","nobody:knows"]}`},
	"rotateClientSecret": {"", `{"overlap":-1}`}, "deleteClient": {"?descendants=x", ""}, "createWebhook": {"", `{"url":"http://example.com"}`},
}

// provoke changes the request so that it is answered with a status, and sends it.
func (c *statusCase) provoke(status int) response {
	c.t.Helper()
	switch status {
	case 400:
		if c.body = "grant_type="; c.bearer() {
			c.body = ""
			c.header.Add("Authorization", "Bearer x") // one too many
		}
	case 401:
		c.header.Del("Authorization")
		c.body = strings.ReplaceAll(c.body, "client_secret=", "client_secret=0")
	case 403:
		networks, err := keys.ParseNetworks("10.0.0.0/8")
		if err != nil {
			c.t.Fatal(err)
		}
		c.as(keys.Spec{Networks: networks})
	case 404:
		c.id = "unknown"
	case 409:
		c.conflict()
	case 413:
		c.body = strings.Repeat(" ", 70_000) + c.body
	case 415:
		c.body += " "
		c.header.Set("Content-Encoding", "gzip")
	case 422:
		v := invalidValues[c.ID]
		c.query, c.body = v.query, v.body
	case 429:
		if c.bearer() {
			c.as(keys.Spec{RateLimit: 1})
			c.request()
			break
		}
		c.body = strings.ReplaceAll(c.body, "client_secret=", "client_secret=0")
		for range 10 {
			c.request()
		}
	case 503:
		c.faults.Fail(storetest.Get, storetest.Always, errors.New("down"))
	}
	return c.request()
}

// conflict makes the operation one that cannot be done as things are.
func (c *statusCase) conflict() {
	c.t.Helper()
	ctx, m := c.t.Context(), c.api.manager
	kind, most := keys.KindKey, keys.DefaultMaxKeys
	if strings.HasPrefix(c.path, "/v1/oauth/clients") {
		kind, most = keys.KindClient, keys.DefaultMaxClients
	}
	switch {
	case c.method == "DELETE":
		c.faults.Fail(storetest.Update, storetest.Always, keys.ErrConflict)
	case c.id != "" && kind == keys.KindClient: // a deleted one is not found
		yes := true
		if _, err := m.Change(ctx, "acme", kind, c.id, keys.Change{Disabled: &yes}); err != nil {
			c.t.Fatal(err)
		}
	case c.id != "":
		if err := m.Revoke(ctx, "acme", kind, c.id); err != nil {
			c.t.Fatal(err)
		}
	default: // as many as there may be
		for i := range most {
			if _, err := m.Create(ctx, "acme", keys.Spec{Kind: kind, Label: fmt.Sprint(i)}); err != nil {
				c.t.Fatal(err)
			}
		}
	}
}
