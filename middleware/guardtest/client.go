package guardtest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Serve starts a server with a handler, with HTTP/2 and TLS or with HTTP/1.1, and
// returns a client of it.
func Serve(t testing.TB, h http.Handler, http2 bool) Client {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = discard
	if srv.EnableHTTP2 = http2; http2 {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	return HTTP(srv.Client(), srv.URL)
}

// HTTP returns a client that sends requests with c to the server at a URL.
func HTTP(c *http.Client, url string) Client {
	return func(ctx context.Context, q Request) (Answer, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/"+q.Route, nil)
		if err != nil {
			return Answer{}, err
		}
		for _, line := range q.Authorization {
			r.Header.Add("Authorization", line)
		}
		resp, err := c.Do(r)
		if err != nil {
			return Answer{}, err
		}
		defer resp.Body.Close()
		body, err := receive(resp.Body, q.Received)
		a := Answer{Status: resp.StatusCode, Header: resp.Header, Challenge: resp.Header["Www-Authenticate"], Body: body}
		if a.Status >= 400 {
			a.Code, a.Body = codeIn(body), ""
		}
		return a, err
	}
}

// receive reads a body, and tells of each piece of it.
func receive(from io.Reader, told func(text string)) (string, error) {
	var all strings.Builder
	buf := make([]byte, 1024)
	for {
		n, err := from.Read(buf)
		all.Write(buf[:n])
		if told != nil && n > 0 {
			told(string(buf[:n]))
		}
		if err == io.EOF {
			return all.String(), nil
		}
		if err != nil {
			return all.String(), err
		}
	}
}

// codeIn returns the code in the body of a refusal, or "" if the body has another form.
func codeIn(body string) string {
	var refusal struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal([]byte(body), &refusal) != nil || refusal.Description == "" {
		return ""
	}
	return refusal.Error
}
