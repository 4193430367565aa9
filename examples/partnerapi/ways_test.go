package main

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// A way is one of the ways to end a credential.
type way struct {
	name string

	// make makes a credential. It returns its text, a route that it may use, and
	// a function that ends it by a request to a node, and reports whether it is
	// certain that the credential has ended.
	make func(f *fleet) (text, path string, end func(n *process) bool)
}

// does returns a function that ends a credential by one request of the admin.
func (f *fleet) does(method, path, body string, want int) func(n *process) bool {
	return func(n *process) bool {
		status, answer := n.send(f.t.Context(), method, path, f.admin, body)
		if status != want && !f.silent(status) {
			f.t.Errorf("%s %s: %d %s", method, path, status, answer)
		}
		return status == want
	}
}

const anyone, scoped = "/v1/chain", "/api/v1/partner/webhooks"

var ways = []way{
	{"revoke", func(f *fleet) (string, string, func(*process) bool) {
		k := f.key("acme", 1_000_000)
		return k.Text.Reveal(), anyone, f.does("DELETE", "/v1/keys/"+k.Record.ID, "", 204)
	}},
	{"revoke without a cache", func(f *fleet) (string, string, func(*process) bool) {
		k := f.key("acme", 1_000_000)
		return k.Text.Reveal(), anyone, func(*process) bool {
			return f.manager.Revoke(f.t.Context(), "acme", keys.KindKey, k.Record.ID) == nil
		}
	}},
	{"revoke twice at once", func(f *fleet) (string, string, func(*process) bool) {
		k := f.key("acme", 1_000_000)
		end := f.does("DELETE", "/v1/keys/"+k.Record.ID, "", 204)
		return k.Text.Reveal(), anyone, func(n *process) bool {
			f.others.Go(func() { end(f.nodes[0]) })
			return end(n)
		}
	}},
	{"descendants", func(f *fleet) (string, string, func(*process) bool) {
		maker := f.key("acme", 1_000_000, keysManage)
		p, err := f.manager.Verifier().Verify(f.t.Context(), maker.Text.Reveal())
		var made keys.Issued
		if err == nil {
			made, err = f.manager.As(p).Create(f.t.Context(), keys.Spec{RateLimit: 1_000_000})
		}
		if err != nil {
			f.t.Error(err)
		}
		return made.Text.Reveal(), anyone, f.does("DELETE", "/v1/keys/"+maker.Record.ID+"?descendants=true", "", 204)
	}},
	{"pause", func(f *fleet) (string, string, func(*process) bool) {
		k := f.key("acme", 1_000_000)
		return k.Text.Reveal(), anyone, f.does("PATCH", "/v1/keys/"+k.Record.ID, `{"disabled":true}`, 200)
	}},
	{"narrow", func(f *fleet) (string, string, func(*process) bool) {
		k := f.key("acme", 1_000_000, webhooksManage)
		return k.Text.Reveal(), scoped, f.does("PATCH", "/v1/keys/"+k.Record.ID, `{"scopes":[]}`, 200)
	}},
	{"rotate", func(f *fleet) (string, string, func(*process) bool) {
		k := f.key("acme", 1_000_000)
		return k.Text.Reveal(), anyone, func(n *process) bool {
			status, answer := n.send(f.t.Context(), "POST", "/v1/keys/"+k.Record.ID+"/rotate", f.admin, `{"overlap":0}`)
			var issued struct{ Key string }
			if status != 201 || json.Unmarshal(answer, &issued) != nil {
				return false
			}
			for _, n := range f.nodes {
				if status := f.use(n, &subject{text: issued.Key, path: anyone}); status == 401 || status == 403 {
					f.t.Errorf("a new key: %d", status)
				}
			}
			return true
		}
	}},
	{"delete the client", func(f *fleet) (string, string, func(*process) bool) {
		client, token := f.token()
		return token.Text.Reveal(), anyone, f.does("DELETE", "/v1/oauth/clients/"+client.Record.ID, "", 204)
	}},
	{"revoke the token, and sweep", func(f *fleet) (string, string, func(*process) bool) {
		client, token := f.token()
		pair := client.Record.ID + ":" + client.Text.Reveal()
		return token.Text.Reveal(), anyone, func(n *process) bool {
			status, _ := n.send(f.t.Context(), "POST", "/v1/oauth/revoke", pair, "token="+token.Text.Reveal())
			if status == 200 {
				if _, err := f.manager.Sweep(f.t.Context(), time.Now()); err != nil && !errors.Is(err, keys.ErrUnavailable) {
					f.t.Error(err)
				}
			}
			return status == 200
		}
	}},
}
