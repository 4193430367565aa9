package oauth_test

import (
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/oauth"
)

// TestForeignClient has clients of another system with the longest IDs and secrets that
// can be imported. They authenticate in each way, and the failures of one do not count
// for another.
func TestForeignClient(t *testing.T) {
	t.Parallel()
	format := keys.MustFormat("cc_", keys.Apart, &keys.FormatOptions{AllowForeign: true})
	e := newEnvWith(t, &keys.Options{ClientFormat: format}, nil)
	ids := [2]string{strings.Repeat("~", keys.MaxID-1) + "1", strings.Repeat("~", keys.MaxID-1) + "2"}
	secret := strings.Repeat("~", keys.MaxLen)
	for _, done := range e.manager.ImportAll(t.Context(), []keys.Foreign{
		{Org: "acme", ID: ids[0], Text: keys.NewSecret(secret), Spec: keys.Spec{Kind: keys.KindClient}},
		{Org: "acme", ID: ids[1], Text: keys.NewSecret(secret), Spec: keys.Spec{Kind: keys.KindClient}},
	}) {
		if done.Err != nil {
			t.Fatal(done.Err)
		}
	}
	escaped := func(text string) string { return strings.ReplaceAll(text, "~", "%7E") }
	for _, id := range ids {
		for name, got := range map[string]answer{
			"in the body":       e.form(tokenPath, "grant_type=client_credentials&client_id="+escaped(id)+"&client_secret="+escaped(secret)),
			"by Basic":          e.serve(withBasic(tokenPath, "grant_type=client_credentials", basic(id, secret))),
			"by Basic, escaped": e.serve(withBasic(tokenPath, "grant_type=client_credentials", basic(escaped(id), escaped(secret)))),
		} {
			if got.status != 200 {
				t.Errorf("%s: %d %s", name, got.status, got.text)
			}
		}
	}
	const elsewhere = "192.0.2.9:1"
	for range oauth.DefaultFailures + 1 {
		e.ask(elsewhere, ids[0], wrongSecret)
	}
	for i, want := range []int{429, 200} {
		if got := e.ask(elsewhere, ids[i], secret); got.status != want {
			t.Errorf("client %d after failures of the first one: %d %s", i+1, got.status, got.text)
		}
	}
}
