package oauth_test

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"testing"

	"github.com/claviger-auth/claviger/oauth"
	"github.com/google/go-cmp/cmp"
)

// keeper is a ResponseWriter that keeps what it must not: the memory of a body.
type keeper struct {
	*httptest.ResponseRecorder
	kept []byte
}

func (k *keeper) Write(p []byte) (int, error) {
	k.kept = p
	return k.ResponseRecorder.Write(p)
}

// The memory of an answer is used again for answers to others. Nothing of the token is
// left in it then. The test is not parallel, since it looks at memory that another test
// may be given.
func TestAnswersAreCleared(t *testing.T) {
	e := newEnv(t, nil)
	id, secret := e.register("webhooks:manage")
	k := &keeper{ResponseRecorder: httptest.NewRecorder()}
	e.mux.ServeHTTP(k, withBasic(tokenPath, "grant_type=client_credentials", basic(id, secret)))
	if k.Code != 200 || !bytes.Contains(k.Body.Bytes(), []byte(`"access_token":"oauth_`)) {
		t.Fatalf("%d %s", k.Code, k.Body)
	}
	if bytes.Contains(k.kept[:cap(k.kept)], []byte("oauth_")) {
		t.Errorf("left in memory: %q", k.kept[:cap(k.kept)])
	}
}

// An answer that was longer than those before it is whole, and so is the next.
func TestAnswersOfAllLengths(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	id, secret := e.register()
	for range 3 {
		long := e.form(tokenPath, "grant_type=client_credentials&client_id="+id+"&client_secret="+secret)
		short := e.form(revokePath, "token=x&client_id="+id+"&client_secret="+secret)
		if long.status != 200 || long.body["token_type"] != "bearer" || short.text != "{}\n" {
			t.Errorf("%q, %q", long.text, short.text)
		}
	}
}

// TestAnswersShareNoMemory writes to the fields of one answer, as a host's
// middleware may, and looks at the next one.
func TestAnswersShareNoMemory(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	id, secret := e.register()
	for name, send := range map[string]func() answer{
		"token":   func() answer { return e.ask("192.0.2.1:1", id, secret) },
		"refusal": func() answer { return e.ask("192.0.2.1:1", "cc_0000000000000000", secret) },
		"metadata": func() answer {
			return e.serve(httptest.NewRequest("GET", "/.well-known/oauth-authorization-server", nil))
		},
		"list":     func() answer { return e.manage(caller, "GET", clientsPath, "") },
		"deletion": func() answer { return e.manage(caller, "DELETE", clientsPath+"/"+id, "") },
	} {
		first := send()
		want := first.header.Clone()
		for _, values := range first.header {
			_ = append(values, "public")
		}
		if diff := cmp.Diff(want, first.header); diff != "" {
			t.Errorf("%s: a value added to one field is in another one: %s", name, diff)
		}
		for _, values := range first.header {
			for i := range values {
				values[i] = "public"
			}
		}
		if second := send(); name != "deletion" && second.header.Get("Cache-Control") != want.Get("Cache-Control") {
			t.Errorf("%s: %v, want %v", name, second.header, want)
		}
	}
}

// Answers are written without an encoder, so their text must not need one.
func TestErrorsNeedNoEscapes(t *testing.T) {
	t.Parallel()
	for _, e := range []*oauth.Error{
		oauth.ErrInvalidClient, oauth.ErrNoCredentials, oauth.ErrNoGrantType, oauth.ErrUnsupportedGrantType, oauth.ErrInvalidScope,
		oauth.ErrTooManyTokens, oauth.ErrNotIssuedToClient, oauth.ErrNoToken,
	} {
		for _, text := range []string{e.Code, e.Description} {
			if quoted, err := json.Marshal(text); err != nil || string(quoted) != `"`+text+`"` {
				t.Errorf("%q is %s in JSON, %v", text, quoted, err)
			}
		}
	}
}
