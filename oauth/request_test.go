package oauth_test

import (
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/claviger-auth/claviger/store/storetest"
	"github.com/google/go-cmp/cmp"
)

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
		"Basic, every byte escaped":     withBasic(tokenPath, "grant_type=client_credentials", basic(escapedBytes(id), escapedBytes(secret))),
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
		"a wrong secret in JSON":         {post(tokenPath, jsonType, strings.Replace(object, secret, wrongSecret, 1)), 401, client},
		"Basic, wrong":                   {withBasic(tokenPath, "grant_type=client_credentials", basic(id, wrongSecret)), 401, client},
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

// TestMediaTypeLabels sends what clients send by default.
func TestMediaTypeLabels(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	id, secret := e.register()
	form := "grant_type=client_credentials&client_id=" + id + "&client_secret=" + secret
	object := fmt.Sprintf(`{"grant_type":"client_credentials","client_id":%q,"client_secret":%q}`, id, secret)
	for _, tt := range []struct {
		mediaType, body string
		status          int
	}{
		{formType + "; charset=ISO-8859-1", form, 200},
		{formType + "; charset=ISO-8859-1", form + "&x=\xe9", 400},
		{formType + ";charset=utf-8", form + "&x=é", 200},
		{"Application/X-WWW-Form-URLEncoded; charset=windows-1252", form, 200},
		{jsonType + ";odata=verbose", object, 200},
		{jsonType + "; charset=us-ascii", object, 200},
		{jsonType + "; charset=utf-16", object, 200},
		{"application/x-www-form-urlencoded; charset", form, 400},
	} {
		if got := e.serve(post(tokenPath, tt.mediaType, tt.body)); got.status != tt.status {
			t.Errorf("%s: %d %s", tt.mediaType, got.status, got.text)
		}
	}
}

// TestBodiesTakeNoMemoryOnTheirWord announces long bodies that do not come, which must
// not take memory.
// TestLongestBody sends bodies that are as long as they may be, with their length and
// without.
func TestLongestBody(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	id, secret := e.register()
	body := "grant_type=client_credentials&client_id=" + id + "&client_secret=" + secret + "&x="
	body += strings.Repeat("a", 64<<10-len(body))
	for _, length := range []int64{int64(len(body)), -1} {
		r := post(tokenPath, formType, body)
		r.ContentLength = length
		if got := e.serve(r); got.status != 200 {
			t.Errorf("length %d: %d %s", length, got.status, got.text)
		}
	}
}

func TestBodiesTakeNoMemoryOnTheirWord(t *testing.T) {
	e := newEnv(t, nil)
	const runs = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		r := post(tokenPath, formType, "grant_type=client_credentials")
		r.ContentLength = 64 << 10
		e.handler.Token(httptest.NewRecorder(), r)
	}
	runtime.ReadMemStats(&after)
	r := post(tokenPath, formType, "grant_type=client_credentials")
	r.ContentLength = 64<<10 + 1 // it is not waited for
	if got := e.serve(r); got.status != 413 {
		t.Errorf("a body that is announced as too long: %d %s", got.status, got.text)
	}
	if n := (after.TotalAlloc - before.TotalAlloc) / runs; n > 32<<10 {
		t.Errorf("%d bytes for a body of 29", n)
	}
}
