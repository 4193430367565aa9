package oauth_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/oauth"
	"github.com/claviger-auth/claviger/scopes"
)

// fuzzEnv is an env with one client, of which the seeds know the credentials.
func fuzzEnv(f *testing.F) (e *env, id, secret string) {
	e = newEnv(f, nil)
	h, err := oauth.NewHandler(e.server, "https://auth.example.com", &oauth.HandlerOptions{Failures: 1_000_000_000, AddressFailures: 1_000_000_000})
	if err != nil {
		f.Fatal(err)
	}
	e.mux = http.NewServeMux()
	e.mux.HandleFunc("POST "+tokenPath, h.Token)
	id, secret = e.register("webhooks:manage")
	return e, id, secret
}

// checkAnswer checks what all answers of the token endpoint have in common, whatever the
// request was.
func checkAnswer(t *testing.T, got answer) {
	t.Helper()
	if got.status >= 500 || got.body == nil || strings.Count(got.text, "\n") != 1 {
		t.Fatalf("%d %q", got.status, got.text)
	}
	if got.status == 200 {
		token, _ := got.body["access_token"].(string)
		scope, _ := got.body["scope"].(string)
		if set, err := scopes.Parse(scope); err != nil || !scopes.MustParse("identity:read webhooks:manage").ContainsAll(set) || len(token) != 94 || len(got.body) != 4 {
			t.Fatalf("%q", got.text)
		}
		return
	}
	if got.body["access_token"] != nil || got.body["error"] == nil {
		t.Fatalf("%d %q", got.status, got.text)
	}
	if got.status != 429 {
		checkError(t, got)
	}
}

func FuzzTokenForm(f *testing.F) {
	e, id, secret := fuzzEnv(f)
	body := "grant_type=client_credentials&client_id=" + id + "&client_secret=" + secret
	for _, seed := range []string{
		"", body, body + "&scope=webhooks%3Amanage", body + "&scope=a+b", body + "&client_id=x", "grant_type=%", "&&==&%00=%ff", body + ";x=y", "grant%5Ftype=password",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) { checkAnswer(t, e.form(tokenPath, body)) })
}

func FuzzTokenJSON(f *testing.F) {
	e, id, secret := fuzzEnv(f)
	object := `{"grant_type":"client_credentials","client_id":"` + id + `","client_secret":"` + secret + `"}`
	for _, seed := range []string{
		"", "{}", "null", object, strings.Replace(object, "{", `{"scope":"webhooks:manage",`, 1), object + object, strings.Replace(object, "_", `\u005f`, 1),
		`{"grant_type":1}`, `{"a":[{}],"a":1}`, "{\"grant_type\":\"\xff\"}", `{"grant_type":"\ud800"}`, `{ , }`, `{"grant_type":"x",}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) { checkAnswer(t, e.serve(post(tokenPath, jsonType, body))) })
}

func FuzzBasic(f *testing.F) {
	e, id, secret := fuzzEnv(f)
	for _, seed := range []string{
		"", "Basic", "Basic ", basic(id, secret), basic("cc%5F"+id[3:], secret), basic(id, "%"), basic("", ""), "Bearer x", "basic\t" + basic(id, secret)[6:],
		basic(id, secret) + " ", "Basic Og==", "Basic ::", basic(id, secret) + ", " + basic(id, secret),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, field string) {
		got := e.serve(withBasic(tokenPath, "grant_type=client_credentials", field))
		checkAnswer(t, got)
		if got.status == 200 && !strings.EqualFold(field[:min(6, len(field))], "basic ") {
			t.Fatalf("%q is accepted", field)
		}
	})
}
