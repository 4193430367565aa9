package keyshttp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
)

// TestSecretsAreShownOnce makes keys, sends every kind of request about them,
// and looks for their secrets in all that comes back but the answers that made
// them, in the log and in the store.
func TestSecretsAreShownOnce(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	var issued []map[string]any
	var answers []answer
	send := func(p keys.Principal, method, target, body string) {
		a := h.do(p, method, target, body)
		if a.Status == 201 {
			o := a.object(t)
			issued = append(issued, o)
			// The answer may have the key itself, in one place.
			a.Body = strings.Replace(a.Body, o["key"].(string), "", 1)
		}
		answers = append(answers, a)
	}
	for i := range 3 {
		send(admin, "POST", "/v1/keys", fmt.Sprintf(`{"label":"%d","scopes":["webhooks:manage"]}`, i))
	}
	for i := range 3 {
		send(admin, "POST", "/v1/keys/"+issued[i]["key_id"].(string)+"/rotate", `{"overlap":60}`)
	}
	if len(issued) != 6 {
		t.Fatalf("%d keys, want 6", len(issued))
	}
	for i, o := range issued {
		key, id := o["key"].(string), o["key_id"].(string)
		for _, p := range []keys.Principal{admin, clerk, session, stranger} {
			for _, target := range []string{"", "?include=revoked", "?limit=1", "?cursor=" + key, "/" + id, "/" + key} {
				send(p, "GET", "/v1/keys"+target, "")
			}
			for _, body := range []string{`{}`, `{"label":"x"}`, `{"scopes":["` + id + `"]}`, `{"environment":"` + key + `"}`, `{"` + key + `":1}`, `"` + key} {
				send(p, "PATCH", "/v1/keys/"+id, body)
				send(p, "POST", "/v1/keys", body)
			}
			send(p, "PUT", "/v1/keys/"+id, "")
			send(clerk, "POST", "/v1/keys/"+id+"/rotate", "")
		}
		h.store.before = func(method string) error { return fmt.Errorf("%s: no route to host", method) }
		send(admin, "GET", "/v1/keys/"+id, "")
		h.store.before = nil
		if i%2 == 0 {
			send(admin, "DELETE", "/v1/keys/"+id, "")
			send(admin, "GET", "/v1/keys/"+id, "")
		}
	}
	if h.log.Len() == 0 {
		t.Error("nothing was logged")
	}
	var all strings.Builder
	for _, a := range answers {
		fmt.Fprintln(&all, a.Status, a.Header, a.Body)
	}
	text := all.String() + h.log.String() + fmt.Sprintf("%v %+v %#v", h.store.records, h.store.records, h.store.records)
	for _, o := range issued {
		_, secret, ok := strings.Cut(o["key"].(string), ".")
		if !ok || len(secret) < 40 {
			t.Fatalf("%q has no secret", o["key"])
		}
		if i := strings.Index(text, secret[:20]); i >= 0 {
			t.Errorf("a secret is shown: …%s…", text[max(0, i-100):i+20])
		}
	}
}
