package oauth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/storetest"
	"github.com/google/go-cmp/cmp"
)

// TestSameBytes compares refusals that nobody may tell apart.
func TestSameBytes(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id, secret := env.register()
	deletedID, deletedSecret := env.register()
	if err := env.server.Delete(t.Context(), caller, deletedID); err != nil {
		t.Fatal(err)
	}
	ask := func(id, secret string) answer {
		return env.form(tokenPath, "grant_type=client_credentials&client_id="+id+"&client_secret="+secret)
	}
	want := ask("cc_0000000000000000", secret)
	for name, got := range map[string]answer{"wrong": ask(id, deletedSecret), "deleted": ask(deletedID, deletedSecret), "malformed": ask("x", "y")} {
		if diff := cmp.Diff(want.header, got.header); diff != "" || got.text != want.text || got.status != want.status {
			t.Errorf("%s: %d %s\n%s", name, got.status, got.text, diff)
		}
	}
}

func TestStoreDown(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id, secret := env.register()
	text := env.token(id, secret)
	auth := "&client_id=" + id + "&client_secret=" + secret
	for name, tt := range map[string]struct {
		method     storetest.Method
		path, body string
	}{
		"reading the client": {storetest.Get, tokenPath, "grant_type=client_credentials" + auth},
		"writing the token":  {storetest.Insert, tokenPath, "grant_type=client_credentials" + auth},
		"writing the end":    {storetest.Update, revokePath, "token=" + text + auth},
		"reading to revoke":  {storetest.Get, revokePath, "token=" + text + auth},
		"reading the token":  {storetest.Get, introspectPath, "token=" + text + auth},
	} {
		env.faults.Fail(tt.method, storetest.Always, errors.New("secret address"))
		got := env.form(tt.path, tt.body)
		if got.status != 503 || got.body["error"] != "temporarily_unavailable" || got.header.Get("Retry-After") != "1" || strings.Contains(got.text, "secret address") {
			t.Errorf("%s: %d %v %s", name, got.status, got.header, got.text)
		}
		checkError(t, got)
		env.faults.Heal()
	}
	log := env.log.String()
	if !strings.Contains(log, "oauth endpoint failed") || !strings.Contains(log, "secret address") {
		t.Errorf("the log does not say why: %s", log)
	}
	if n := strings.Count(log, "oauth endpoint failed"); n != 1 {
		t.Errorf("%d lines of one outage: %s", n, log)
	}
}

// TestNothingLeaks looks for every secret in the log and in answers.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id, secret := env.register()
	text := env.token(id, secret)
	auth := "&client_id=" + id + "&client_secret=" + secret
	var answers strings.Builder
	for _, got := range []answer{
		env.form(introspectPath, "token="+text+auth), env.form(revokePath, "token="+text+auth), env.form(introspectPath, "token="+text+auth),
		env.form(tokenPath, "grant_type="+secret+auth), env.form(tokenPath, "grant_type=client_credentials&scope="+secret+auth),
		env.form(tokenPath, "grant_type=client_credentials&client_id="+secret+"&client_secret="+secret),
		env.manage(caller, "GET", clientsPath, ""), env.manage(caller, "GET", clientsPath+"/"+id, ""),
	} {
		answers.WriteString(fmt.Sprint(got.header, got.text))
	}
	for _, leak := range []string{secret, text[30:]} {
		if strings.Contains(answers.String(), leak) || strings.Contains(env.log.String(), leak) {
			t.Errorf("a secret leaked:\n%s\n%s", answers.String(), env.log)
		}
	}
	if !strings.Contains(env.log.String(), id) {
		t.Errorf("the log does not name the client: %s", env.log)
	}
}

// TestHangUps has clients hang up while the store is asked. That is not reported as a
// failure of the store.
func TestHangUps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, nil)
		id, secret := e.register()
		for name, r := range map[string]*http.Request{
			"token": post(tokenPath, formType, "grant_type=client_credentials&client_id="+id+"&client_secret="+secret),
			"manage": func() *http.Request {
				r := httptest.NewRequest("GET", clientsPath, nil)
				return r.WithContext(keys.NewContext(r.Context(), caller))
			}(),
		} {
			release := e.faults.Block(storetest.Get)
			releaseList := e.faults.Block(storetest.List)
			ctx, hangUp := context.WithCancel(r.Context())
			got := make(chan answer, 1)
			go func() { got <- e.serve(r.WithContext(ctx)) }()
			synctest.Wait()
			hangUp()
			if a := <-got; a.status != 499 {
				t.Errorf("%s: %d %s", name, a.status, a.text)
			}
			release()
			releaseList()
		}
		if log := e.log.String(); strings.Contains(log, "level=ERROR") {
			t.Errorf("logged %s", log)
		}
	})
}
