package oauth_test

import (
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/oauth"
	"github.com/claviger-auth/claviger/store/storetest"
	"github.com/google/go-cmp/cmp"
)

const (
	tokenPath      = "/v1/oauth/token"
	revokePath     = "/v1/oauth/revoke"
	introspectPath = "/v1/oauth/introspect"
)

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

// withBasic is post with an Authorization header for each line.
func withBasic(path, body string, lines ...string) *http.Request {
	r := post(path, formType, body)
	for _, line := range lines {
		r.Header.Add("Authorization", line)
	}
	return r
}

// TestToken asks for a token in every way that there is.
func TestToken(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id, secret := env.register("webhooks:manage")
	body := "grant_type=client_credentials&client_id=" + id + "&client_secret=" + secret
	object := fmt.Sprintf(`{"grant_type":"client_credentials","client_id":%q,"client_secret":%q}`, id, secret)
	escaped := url.QueryEscape
	for name, r := range map[string]*http.Request{
		"form":                          post(tokenPath, formType, body),
		"form with a charset":           post(tokenPath, formType+"; charset=UTF-8", body),
		"form in another order":         post(tokenPath, formType, "client_secret="+secret+"&client_id="+id+"&grant_type=client_credentials"),
		"form with escapes":             post(tokenPath, formType, "grant%5Ftype=client%5fcredentials&client_id="+strings.ReplaceAll(id, "_", "%5F")+"&client_secret="+secret),
		"form with empty pairs":         post(tokenPath, formType, "&&"+body+"&"),
		"form with unknown ones":        post(tokenPath, formType, body+"&audience=x&audience=y&resource=https%3A%2F%2Fa"),
		"form without values":           post(tokenPath, formType, body+"&scope=&token"),
		"JSON":                          post(tokenPath, jsonType, object),
		"JSON with a charset":           post(tokenPath, jsonType+";charset=utf-8", object),
		"JSON with spaces":              post(tokenPath, jsonType, " \r\n{ \"grant_type\" : \"client_credentials\" ,\t\"client_id\":\""+id+"\", \"client_secret\":\""+secret+"\" }\n"),
		"JSON with escapes":             post(tokenPath, jsonType, strings.Replace(object, "_", `\u005f`, 3)),
		"JSON with unknown members":     post(tokenPath, jsonType, strings.Replace(object, "{", `{"audience":{"a":[1,null]},"x":"y",`, 1)),
		"JSON with an empty scope":      post(tokenPath, jsonType, strings.Replace(object, "{", `{"scope":"",`, 1)),
		"Basic":                         withBasic(tokenPath, "grant_type=client_credentials", basic(id, secret)),
		"Basic, form-encoded":           withBasic(tokenPath, "grant_type=client_credentials", basic(strings.ReplaceAll(escaped(id), "_", "%5F"), secret)),
		"Basic in another case":         withBasic(tokenPath, "grant_type=client_credentials", "bAsIc   "+basic(id, secret)[6:]),
		"Basic with the same client_id": withBasic(tokenPath, "grant_type=client_credentials&client_id="+id, basic(id, secret)),
		"Basic with an empty secret":    withBasic(tokenPath, "grant_type=client_credentials&client_secret=", basic(id, secret)),
		"with things in the query":      post(tokenPath+"?grant_type=password&client_secret=x&scope=nope", formType, body),
		"with an identity coding": func() *http.Request {
			r := post(tokenPath, formType, body)
			r.Header.Set("Content-Encoding", "identity")
			return r
		}(),
		"of unknown length": func() *http.Request { r := post(tokenPath, formType, body); r.ContentLength = -1; return r }(),
	} {
		got := env.serve(r)
		token, _ := got.body["access_token"].(string)
		want := map[string]any{"access_token": token, "token_type": "bearer", "expires_in": 3600.0, "scope": "identity:read webhooks:manage"}
		if diff := cmp.Diff(want, got.body); got.status != 200 || diff != "" || !strings.HasPrefix(token, "oauth_") {
			t.Errorf("%s: %d %s\n%s", name, got.status, got.text, diff)
			continue
		}
		wantHeader := http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}, "Pragma": {"no-cache"}}
		if diff := cmp.Diff(wantHeader, got.header); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if p, err := env.manager.Verifier().Verify(t.Context(), token); err != nil || p.Client != id {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	if got := env.form(tokenPath, body+"&scope=webhooks%3Amanage"); got.body["scope"] != "webhooks:manage" {
		t.Errorf("one scope: %s", got.text)
	}
}

// TestTokenErrors sends every kind of bad request that there is.
func TestTokenErrors(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id, secret := env.register()
	body := "grant_type=client_credentials&client_id=" + id + "&client_secret=" + secret
	object := fmt.Sprintf(`{"grant_type":"client_credentials","client_id":%q,"client_secret":%q}`, id, secret)
	member := func(text string) string { return strings.Replace(object, "{", "{"+text+",", 1) }
	set := func(r *http.Request, name, value string) *http.Request { r.Header.Set(name, value); return r }
	zipped := func() string {
		var b strings.Builder
		w := gzip.NewWriter(&b)
		_, _ = io.WriteString(w, body)
		_ = w.Close()
		return b.String()
	}()
	truncated := post(tokenPath, formType, "")
	truncated.Body, truncated.ContentLength = io.NopCloser(strings.NewReader(body[:20])), int64(len(body))
	broken := post(tokenPath, formType, "")
	broken.Body, broken.ContentLength = io.NopCloser(iotest.ErrReader(errors.New("reset"))), -1
	endless := post(tokenPath, formType, "")
	endless.Body, endless.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("a", 64<<10+1))), -1

	const (
		request  = "invalid_request"
		client   = "invalid_client"
		grantErr = "unsupported_grant_type"
	)
	for name, tt := range map[string]struct {
		r      *http.Request
		status int
		code   string
	}{
		"nothing":                      {post(tokenPath, "", ""), 400, request},
		"an empty form":                {post(tokenPath, formType, ""), 400, request},
		"no grant type":                {post(tokenPath, formType, body[len("grant_type=client_credentials&"):]), 400, request},
		"an empty grant type":          {post(tokenPath, formType, strings.Replace(body, "client_credentials", "", 1)), 400, request},
		"another grant type":           {post(tokenPath, formType, strings.Replace(body, "client_credentials", "password", 1)), 400, grantErr},
		"a grant type in capitals":     {post(tokenPath, formType, strings.Replace(body, "client_credentials", "CLIENT_CREDENTIALS", 1)), 400, grantErr},
		"a grant type and a space":     {post(tokenPath, formType, strings.Replace(body, "client_credentials", "client_credentials+", 1)), 400, grantErr},
		"no ID":                        {post(tokenPath, formType, "grant_type=client_credentials&client_secret="+secret), 400, request},
		"no secret":                    {post(tokenPath, formType, "grant_type=client_credentials&client_id="+id), 400, request},
		"no credentials":               {post(tokenPath, formType, "grant_type=client_credentials"), 400, request},
		"credentials in the query":     {post(tokenPath+"?client_id="+id+"&client_secret="+secret, formType, "grant_type=client_credentials"), 400, request},
		"the grant type in the query":  {post(tokenPath+"?grant_type=client_credentials", formType, body[len("grant_type=client_credentials&"):]), 400, request},
		"the grant type twice":         {post(tokenPath, formType, body+"&grant_type=client_credentials"), 400, request},
		"the ID twice":                 {post(tokenPath, formType, body+"&client_id="+id), 400, request},
		"the ID twice, escaped":        {post(tokenPath, formType, body+"&client%5Fid="+id), 400, request},
		"the secret twice, once empty": {post(tokenPath, formType, body+"&client_secret="), 400, request},
		"a bad escape":                 {post(tokenPath, formType, body+"&x=%zz"), 400, request},
		"half an escape":               {post(tokenPath, formType, body+"&x=%4"), 400, request},
		"an escape in the name":        {post(tokenPath, formType, body+"&%=x"), 400, request},
		"no type":                      {post(tokenPath, "", body), 400, request},
		"plain text":                   {post(tokenPath, "text/plain", body), 400, request},
		"multipart":                    {post(tokenPath, "multipart/form-data; boundary=x", body), 400, request},
		"another charset":              {post(tokenPath, formType+"; charset=iso-8859-1", body+"&x=\xe9"), 400, request},
		"JSON in another charset":      {post(tokenPath, jsonType+"; charset=utf-16", `{"x":"é",`+object[1:]), 400, request},
		"a type that is none":          {post(tokenPath, ";", body), 400, request},
		"two types": {func() *http.Request {
			r := post(tokenPath, formType, body)
			r.Header.Add("Content-Type", jsonType)
			return r
		}(), 400, request},
		"a form as JSON":                 {post(tokenPath, jsonType, body), 400, request},
		"JSON as a form":                 {post(tokenPath, formType, object), 400, request},
		"no JSON":                        {post(tokenPath, jsonType, ""), 400, request},
		"an empty object":                {post(tokenPath, jsonType, "{}"), 400, request},
		"an array":                       {post(tokenPath, jsonType, "["+object+"]"), 400, request},
		"null":                           {post(tokenPath, jsonType, "null"), 400, request},
		"half an object":                 {post(tokenPath, jsonType, object[:40]), 400, request},
		"two objects":                    {post(tokenPath, jsonType, object+object), 400, request},
		"data behind the object":         {post(tokenPath, jsonType, object+"x"), 400, request},
		"a comma at the end":             {post(tokenPath, jsonType, strings.Replace(object, "}", ",}", 1)), 400, request},
		"a byte order mark":              {post(tokenPath, jsonType, "\ufeff"+object), 400, request},
		"a member twice":                 {post(tokenPath, jsonType, member(`"client_id":"`+id+`"`)), 400, request},
		"a member twice, escaped":        {post(tokenPath, jsonType, member(`"client\u005fid":"`+id+`"`)), 400, request},
		"an unknown member twice":        {post(tokenPath, jsonType, member(`"a":1,"a":1`)), 400, request},
		"a number for the ID":            {post(tokenPath, jsonType, `{"grant_type":"client_credentials","client_id":1,"client_secret":"x"}`), 400, request},
		"null for the secret":            {post(tokenPath, jsonType, strings.Replace(object, `"`+secret+`"`, "null", 1)), 400, request},
		"an array for the scope":         {post(tokenPath, jsonType, member(`"scope":["identity:read"]`)), 400, request},
		"a name in another case":         {post(tokenPath, jsonType, strings.Replace(object, "client_id", "Client_ID", 1)), 400, request},
		"a name with a Kelvin sign":      {post(tokenPath, jsonType, strings.Replace(object, "grant_type", "toKen", 1)), 400, request},
		"bytes that are not UTF-8":       {post(tokenPath, jsonType, member("\"x\":\"\xff\"")), 400, request},
		"half a surrogate pair":          {post(tokenPath, jsonType, member(`"scope":"\ud800"`)), 400, request},
		"a wrong secret":                 {post(tokenPath, formType, body[:len(body)-1]+flip(body[len(body)-1])), 401, client},
		"a secret with a space":          {post(tokenPath, formType, body+"+"), 401, client},
		"a wrong ID":                     {post(tokenPath, formType, strings.Replace(body, id, "cc_0000000000000000", 1)), 401, client},
		"an ID that is none":             {post(tokenPath, formType, strings.Replace(body, id, "%00%ff", 1)), 401, client},
		"a wrong secret in JSON":         {post(tokenPath, jsonType, strings.Replace(object, secret, strings.Repeat("0", 64), 1)), 401, client},
		"Basic, wrong":                   {withBasic(tokenPath, "grant_type=client_credentials", basic(id, strings.Repeat("0", 64))), 401, client},
		"Basic without a colon":          {withBasic(tokenPath, "grant_type=client_credentials", "Basic "+base64.StdEncoding.EncodeToString([]byte(id))), 401, client},
		"Basic that is not base64":       {withBasic(tokenPath, "grant_type=client_credentials", "Basic "+id+":"+secret), 401, client},
		"Basic, badly padded":            {withBasic(tokenPath, "grant_type=client_credentials", strings.TrimRight(basic(id, secret), "=")+"="), 401, client},
		"Basic with a bad escape":        {withBasic(tokenPath, "grant_type=client_credentials", basic(id, secret+"%")), 401, client},
		"Basic, huge":                    {withBasic(tokenPath, "grant_type=client_credentials", basic(id, strings.Repeat("0", 4096))), 401, client},
		"Basic and a tab":                {withBasic(tokenPath, "grant_type=client_credentials", strings.Replace(basic(id, secret), " ", "\t", 1)), 401, client},
		"Basic alone":                    {withBasic(tokenPath, "grant_type=client_credentials", "Basic"), 401, client},
		"an empty Authorization":         {withBasic(tokenPath, body, ""), 400, request},
		"Bearer":                         {withBasic(tokenPath, "grant_type=client_credentials", "Bearer "+secret), 401, client},
		"Basic with a long s":            {withBasic(tokenPath, "grant_type=client_credentials", strings.Replace(basic(id, secret), "Basic", "Baſic", 1)), 401, client},
		"Basic without an ID":            {withBasic(tokenPath, "grant_type=client_credentials", basic("", secret)), 400, request},
		"Basic without a secret":         {withBasic(tokenPath, "grant_type=client_credentials", basic(id, "")), 400, request},
		"Basic twice":                    {withBasic(tokenPath, "grant_type=client_credentials", basic(id, secret), basic(id, secret)), 400, request},
		"Basic and a body secret":        {withBasic(tokenPath, "grant_type=client_credentials&client_secret="+secret, basic(id, secret)), 400, request},
		"Basic and all of the body":      {withBasic(tokenPath, body, basic(id, secret)), 400, request},
		"Basic and another client_id":    {withBasic(tokenPath, "grant_type=client_credentials&client_id=cc_0000000000000000", basic(id, secret)), 400, request},
		"Bearer and a body secret":       {withBasic(tokenPath, body, "Bearer x"), 400, request},
		"a scope that it lacks":          {post(tokenPath, formType, body+"&scope=keys:manage"), 400, "invalid_scope"},
		"a scope that is none":           {post(tokenPath, formType, body+"&scope=%22"), 400, "invalid_scope"},
		"two spaces in the scope":        {post(tokenPath, formType, body+"&scope=identity:read++identity:read"), 400, "invalid_scope"},
		"too large":                      {post(tokenPath, formType, body+"&x="+strings.Repeat("a", 64<<10)), 413, "payload_too_large"},
		"too large, of unknown length":   {endless, 413, "payload_too_large"},
		"too large JSON":                 {post(tokenPath, jsonType, member(`"x":"`+strings.Repeat("a", 64<<10)+`"`)), 413, "payload_too_large"},
		"compressed":                     {set(post(tokenPath, formType, zipped), "Content-Encoding", "gzip"), 415, "unsupported_media_type"},
		"said to be compressed":          {set(post(tokenPath, jsonType, object), "Content-Encoding", "br"), 415, "unsupported_media_type"},
		"truncated":                      {truncated, 400, request},
		"a body that cannot be read":     {broken, 400, request},
		"a number for the grant type":    {post(tokenPath, jsonType, strings.Replace(object, `"client_credentials"`, "7", 1)), 400, request},
		"unsupported, wrong credentials": {post(tokenPath, formType, "grant_type=x&client_id=y&client_secret=z"), 400, grantErr},
	} {
		t.Run(name, func(t *testing.T) {
			got := env.serve(tt.r)
			if got.status != tt.status || got.body["error"] != tt.code {
				t.Fatalf("%d %s, want %d %s", got.status, got.text, tt.status, tt.code)
			}
			checkError(t, got)
		})
	}
	if env.faults.Calls(storetest.Insert) != 1 {
		t.Error("a bad request made a token")
	}
}

// flip returns another hex digit.
func flip(c byte) string {
	if c == '0' {
		return "1"
	}
	return "0"
}

// checkError holds an error to RFC 6749 §5.2.
func checkError(t *testing.T, got answer) {
	t.Helper()
	h := got.header
	if h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "no-store" || h.Get("Pragma") != "no-cache" {
		t.Errorf("header %v", h)
	}
	challenges := h.Values("WWW-Authenticate")
	if got.status == 401 != (len(challenges) == 1 && challenges[0] == `Basic realm="oauth"`) {
		t.Errorf("status %d with the challenges %q", got.status, challenges)
	}
	for name, value := range got.body {
		text, ok := value.(string)
		if !ok || name != "error" && name != "error_description" {
			t.Errorf("member %s: %v", name, value)
		}
		for _, c := range text {
			if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
				t.Errorf("%s has the character %q", name, c)
			}
		}
	}
}

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

func TestMethods(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	for _, path := range []string{tokenPath, revokePath, introspectPath} {
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS"} {
			r := post(path, formType, "")
			r.Method = method
			got := env.serve(r)
			if got.status != 405 || got.header.Get("Allow") != "POST" || got.body["error"] != "method_not_allowed" {
				t.Errorf("%s %s: %d %v %s", method, path, got.status, got.header, got.text)
			}
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

func TestFailuresAreThrottled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		id, secret := env.register()
		otherID, otherSecret := env.register()
		ask := func(addr, id, secret string) answer {
			r := post(tokenPath, formType, "grant_type=client_credentials&client_id="+id+"&client_secret="+secret)
			r.RemoteAddr = addr
			return env.serve(r)
		}
		wrong := strings.Repeat("0", 64)
		for range 30 { // successes cost nothing, and exempt one address alone
			if got := ask("[2001:db8::7]:1", id, secret); got.status != 200 {
				t.Fatalf("%d %s", got.status, got.text)
			}
		}
		for i := range 10 {
			if got := ask("[2001:db8::"+strconv.Itoa(i)+"]:1", id, wrong); got.status != 401 {
				t.Fatalf("failure %d: %d %s", i+1, got.status, got.text)
			}
		}
		reads := env.faults.Calls(storetest.Get)
		time.Sleep(300 * time.Millisecond) // on the test's own clock; what is left is 6 s, rounded up
		for _, s := range []string{wrong, secret} {
			got := ask("[2001:db8::1]:9", id, s)
			if got.status != 429 || got.body["error"] != "temporarily_unavailable" || got.header.Get("Retry-After") != "6" {
				t.Errorf("after ten failures: %d %v %s", got.status, got.header, got.text)
			}
			checkError(t, got)
		}
		if env.faults.Calls(storetest.Get) != reads {
			t.Error("a throttled request reads the store")
		}
		if got := ask("[2001:db8::1]:9", id, ""); got.status != 400 {
			t.Errorf("without a secret: %d %s", got.status, got.text)
		}
		if got := ask("[2001:db8::7]:9", id, secret); got.status != 200 {
			t.Errorf("the right secret from where it was right before: %d %s", got.status, got.text)
		}
		if got := ask("192.0.2.1:1", id, secret); got.status != 200 {
			t.Errorf("the right secret from another address: %d %s", got.status, got.text)
		}
		if got := ask("[2001:db8::1]:1", otherID, otherSecret); got.status != 200 {
			t.Errorf("another client from that address: %d %s", got.status, got.text)
		}
		time.Sleep(6 * time.Second) // the time in Retry-After, on the test's own clock
		if got := ask("[2001:db8::1]:1", id, secret); got.status != 200 {
			t.Errorf("after Retry-After: %d %s", got.status, got.text)
		}
	})
}

// TestThrottleOfConcurrentFailures holds the store up, so that no attempt is
// known to have failed while the others arrive.
func TestThrottleOfConcurrentFailures(t *testing.T) {
	t.Parallel()
	for _, earlier := range []int{0, 4} {
		synctest.Test(t, func(t *testing.T) {
			env := newEnv(t, nil)
			id, secret := env.register()
			body := "grant_type=client_credentials&token=x&client_id=" + id + "&client_secret="
			for range earlier {
				env.form(tokenPath, body+strings.Repeat("0", 64))
			}
			reads := env.faults.Calls(storetest.Get)
			release := env.faults.Block(storetest.Get)
			statuses := make(chan int, 300)
			for i := range cap(statuses) {
				path := []string{tokenPath, revokePath, introspectPath}[i%3]
				go func() { statuses <- env.form(path, body+strings.Repeat("0", 64)).status }()
			}
			synctest.Wait()
			release()
			count := make(map[int]int)
			for range cap(statuses) {
				count[<-statuses]++
			}
			if diff := cmp.Diff(map[int]int{401: 10 - earlier, 429: 290 + earlier}, count); diff != "" {
				t.Errorf("after %d failures: %s", earlier, diff)
			}
			if n := env.faults.Calls(storetest.Get) - reads; n != 10-earlier {
				t.Errorf("after %d failures the store was asked %d times", earlier, n)
			}
			time.Sleep(6 * time.Second) // on the test's own clock: one failure is left
			for range 2 {
				if got := env.form(tokenPath, body+secret); got.status != 200 {
					t.Errorf("after Retry-After: %d %s", got.status, got.text)
				}
			}
		})
	}
}

// TestConcurrentSuccesses has a client ask many times at once, when it has all
// its failures left and when it has one.
func TestConcurrentSuccesses(t *testing.T) {
	t.Parallel()
	for _, failures := range []int{0, 9} {
		synctest.Test(t, func(t *testing.T) {
			env := newEnv(t, nil)
			id, secret := env.register()
			body := "grant_type=client_credentials&client_id=" + id + "&client_secret="
			for range failures {
				if got := env.form(tokenPath, body+strings.Repeat("0", 64)); got.status != 401 {
					t.Fatalf("%d %s", got.status, got.text)
				}
			}
			release := env.faults.Block(storetest.Get)
			statuses := make(chan int, 100)
			for range cap(statuses) {
				go func() { statuses <- env.form(tokenPath, body+secret).status }()
			}
			synctest.Wait()
			release()
			for range cap(statuses) {
				if got := <-statuses; got != 200 {
					t.Errorf("after %d failures: %d", failures, got)
				}
			}
		})
	}
}

// TestHangingUpInTheQueue ends requests that wait for others, which must not
// keep those behind them waiting: neither if they end in the queue, nor at the
// moment when it is their turn.
func TestHangingUpInTheQueue(t *testing.T) {
	t.Parallel()
	for _, inTurn := range []bool{false, true} {
		for range 20 {
			synctest.Test(t, func(t *testing.T) { hangUpInTheQueue(t, inTurn) })
		}
	}
}

func hangUpInTheQueue(t *testing.T, inTurn bool) {
	env := newEnv(t, nil)
	id, secret := env.register()
	h, err := oauth.NewHandler(env.server, "https://auth.example.com", &oauth.HandlerOptions{Failures: 1})
	if err != nil {
		t.Fatal(err)
	}
	release := env.faults.Block(storetest.Get)
	ctx, hangUp := context.WithCancel(t.Context())
	stayed, left := make(chan int, 20), make(chan int, 20)
	for i := range cap(stayed) + cap(left) {
		r, statuses := post(tokenPath, formType, "grant_type=client_credentials&client_id="+id+"&client_secret="+secret), stayed
		if i%2 == 1 {
			r, statuses = r.WithContext(ctx), left
		}
		go func() {
			w := httptest.NewRecorder()
			h.Token(w, r)
			statuses <- w.Code
		}()
		synctest.Wait() // so that they stand in the queue in this order
	}
	hangUp()
	if !inTurn {
		synctest.Wait()
		if n := len(left); n != cap(left) {
			t.Errorf("%d requests ended, of %d that hung up", n, cap(left))
		}
	}
	release()
	for range cap(stayed) {
		if got := <-stayed; got != 200 {
			t.Errorf("status %d", got)
		}
		if got := <-left; got != 499 {
			t.Errorf("hung up: status %d", got)
		}
	}
	if n := h.Attempts(); n != 0 {
		t.Errorf("%d queues are left with nobody in them", n)
	}
}

// TestThrottleWithoutAddress has failures count together if the host cannot tell
// addresses apart.
func TestThrottleWithoutAddress(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id, _ := env.register()
	h, err := oauth.NewHandler(env.server, "https://auth.example.com", &oauth.HandlerOptions{
		Failures: 2, Address: func(*http.Request) netip.Addr { return netip.Addr{} },
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{401, 401, 429} {
		w := httptest.NewRecorder()
		h.Token(w, post(tokenPath, formType, "grant_type=client_credentials&client_id="+id+"&client_secret=x"))
		if w.Code != want {
			t.Errorf("attempt %d: %d, want %d", i+1, w.Code, want)
		}
	}
}

func TestRevokeEndpoint(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id, secret := env.register()
	otherID, otherSecret := env.register()
	mine, theirs := env.token(id, secret), env.token(otherID, otherSecret)
	auth := "&client_id=" + id + "&client_secret=" + secret
	live := func(text string) bool { _, err := env.manager.Verifier().Verify(t.Context(), text); return err == nil }
	for name, tt := range map[string]struct {
		r      *http.Request
		status int
		code   any
	}{
		"no client":        {post(revokePath, formType, "token="+mine), 400, "invalid_request"},
		"a wrong client":   {post(revokePath, formType, "token="+mine+"&client_id="+id+"&client_secret="+otherSecret), 401, "invalid_client"},
		"no token":         {post(revokePath, formType, auth[1:]), 400, "invalid_request"},
		"the token twice":  {post(revokePath, formType, "token="+mine+"&token="+mine+auth), 400, "invalid_request"},
		"an unknown token": {post(revokePath, formType, "token=oauth_"+strings.Repeat("0", 88)+auth), 200, nil},
		"junk":             {post(revokePath, formType, "token=junk&token_type_hint=refresh_token"+auth), 200, nil},
		"another client's": {post(revokePath, formType, "token="+theirs+auth), 400, "invalid_grant"},
		"in the query":     {post(revokePath+"?token="+mine, formType, auth[1:]), 400, "invalid_request"},
	} {
		got := env.serve(tt.r)
		if got.status != tt.status || got.body["error"] != tt.code {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
		if tt.status == 200 && got.text != "{}\n" {
			t.Errorf("%s: body %q", name, got.text)
		}
		if tt.status != 200 {
			checkError(t, got)
		}
		if !live(mine) || !live(theirs) {
			t.Fatalf("%s: a token died", name)
		}
	}
	for _, r := range []*http.Request{
		withBasic(revokePath, "token="+mine+"&token_type_hint=access_token", basic(id, secret)),
		post(revokePath, formType, "token="+mine+auth),
	} {
		if got := env.serve(r); got.status != 200 || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d %v %s", got.status, got.header, got.text)
		}
		if live(mine) || !live(theirs) {
			t.Error("the token is alive, or another is not")
		}
	}
}

func TestIntrospectEndpoint(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	id, secret := env.register("webhooks:manage")
	grant, err := env.grant(id, secret, "")
	if err != nil {
		t.Fatal(err)
	}
	text := grant.AccessToken.Reveal()
	stranger, err := env.server.Register(t.Context(), keys.Principal{Org: "globex", RateLimit: 600}, clientSpec)
	if err != nil {
		t.Fatal(err)
	}
	got := env.serve(withBasic(introspectPath, "token="+text, basic(id, secret)))
	want := map[string]any{
		"active": true, "scope": "identity:read webhooks:manage", "client_id": id, "token_type": "bearer",
		"exp": float64(grant.Token.ExpiresAt.Unix()), "iat": float64(grant.Token.CreatedAt.Unix()), "sub": "acme", "iss": "https://auth.example.com",
	}
	if diff := cmp.Diff(want, got.body); got.status != 200 || diff != "" || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v\n%s", got.status, got.header, diff)
	}
	inactive := func(name, body string, auth ...string) {
		t.Helper()
		if got := env.serve(withBasic(introspectPath, body, auth...)); got.status != 200 || got.text != `{"active":false}`+"\n" {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
	}
	inactive("unknown", "token=oauth_"+strings.Repeat("0", 88), basic(id, secret))
	inactive("junk", "token=junk", basic(id, secret))
	inactive("another organization", "token="+text, basic(stranger.Record.ID, stranger.Text.Reveal()))
	for name, tt := range map[string]struct {
		r      *http.Request
		status int
	}{
		"nobody": {withBasic(introspectPath, "token="+text), 400}, "a bearer": {withBasic(introspectPath, "token="+text, "Bearer "+text), 401},
		"no token": {withBasic(introspectPath, "", basic(id, secret)), 400}, "a wrong secret": {withBasic(introspectPath, "token="+text, basic(id, strings.Repeat("0", 64))), 401},
	} {
		got := env.serve(tt.r)
		if got.status != tt.status || got.body["active"] != nil {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
		checkError(t, got)
	}
	if err := env.server.Delete(t.Context(), caller, id); err != nil {
		t.Fatal(err)
	}
	third, thirdSecret := env.register()
	inactive("a deleted client's", "token="+text, basic(third, thirdSecret))
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
		env.manage(caller, "GET", "/v1/oauth/clients", ""), env.manage(caller, "GET", "/v1/oauth/clients/"+id, ""),
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
