package oauth_test

import (
	"bytes"
	"net/http/httptest"
	"testing"
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
