package keyshttp_test

import (
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
)

// bodies are seeds: what clients send, and what tells strict readers from lenient ones.
var bodies = []string{
	``, ` `, `{}`, `[]`, `null`, `{}{}`, "\ufeff{}", "{\"label\":\"\xff\"}",
	`{"text":"a","flag":true,"k":1,"list":["a"]}`,
	`{"text":"a","text":"b"}`, `{"text":"a","te\u0078t":"b"}`, `{"Text":"a"}`, `{"K":1}`, `{"k":1,"K":2}`,
	`{"text":null}`, `{"list":null}`, `{"list":[null]}`, `{"list":["\ud83d","\ude00"]}`,
	`{"text":"\ud83d\ude00"}`, `{"text":"\ud800"}`, `{"text":"\\ud800\\"}`, `{"text":"\ufffd"}`,
	`{"k":-0}`, `{"k":1.0}`, `{"k":1e3}`, `{"k":9223372036854775808}`, `{"k":"1"}`,
	`{"x":{"a":1,"a":2}}`, `{"text":"a",}`, `{"text" "a"}`, `{"text":` + strings.Repeat("[", 99) + `}`,
	`{"label":"CI","scopes":["webhooks:manage"],"environment":"test","expires_in":3600,"rate_limit_per_minute":60}`,
	`{"scopes":["leads:read","nope","",  "a b"]}`, `{"scopes":["keys:manage"],"org":"evil"}`,
	`{"label":"\u0000"}`, `{"environment":""}`, `{"environment":"prod"}`,
	`{"expires_in":315360000}`, `{"expires_in":9223372036854775807}`, `{"rate_limit_per_minute":0}`,
}

func FuzzCreate(f *testing.F) {
	for _, body := range bodies {
		f.Add(body)
	}
	h := newHost(f)
	f.Fuzz(func(t *testing.T, body string) {
		a := h.do(clerk, "POST", "/v1/keys", body)
		if a.Status != 201 {
			if a.Status < 400 || a.Status > 499 {
				t.Fatalf("status %d, body %s", a.Status, a.Body)
			}
			a.wantError(t, a.Status, a.object(t)["error"].(string))
			return
		}
		rec := h.record(t, a.object(t)["key_id"].(string))
		if rec.Org != clerk.Org || rec.Kind != keys.KindKey || rec.RateLimit > clerk.RateLimit || !clerk.Scopes.ContainsAll(rec.Scopes) {
			t.Errorf("%+v is beyond its maker", rec)
		}
		if err := rec.Validate(); err != nil {
			t.Error(err)
		}
		h.store.mu.Lock()
		clear(h.store.records)
		h.store.mu.Unlock()
	})
}
