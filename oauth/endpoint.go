package oauth

import (
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyshttp"
)

// Token is the token endpoint (RFC 6749 §3.2). See the package comment for what
// it takes and answers.
func (h *Handler) Token(w http.ResponseWriter, r *http.Request) {
	var p params
	a, ok := h.begin(w, r, &p)
	if !ok {
		return
	}
	defer a.end()
	request := Request{GrantType: p.values[grantType], ClientID: a.id, ClientSecret: a.secret, Scope: p.values[scope]}
	var issued keys.Issued
	if err := h.server.exchangeAt(r.Context(), &request, a.now, &issued); err != nil {
		h.fail(w, r, &a, err)
		return
	}
	// Neither tokens nor scopes have characters that JSON escapes.
	answer := newAnswer()
	answer.add(`{"access_token":"`)
	answer.add(issued.Text.Reveal())
	answer.add(`","token_type":"bearer","expires_in":`)
	answer.text = strconv.AppendInt(answer.text, int64(expiresIn(&issued.Record)/time.Second), 10)
	answer.add(`,"scope":"`)
	answer.add(issued.Record.Scopes.String())
	answer.add("\"}\n")
	answer.send(w, http.StatusOK)
}

// Revoke is the revocation endpoint (RFC 7009 §2). It answers 200, also for a
// token that is unknown or over, and 400 invalid_grant for one of another client.
// The body of the 200 means nothing (§2.2); it is {} for clients that expect
// JSON wherever they look.
func (h *Handler) Revoke(w http.ResponseWriter, r *http.Request) {
	var p params
	a, ok := h.begin(w, r, &p)
	if !ok {
		return
	}
	defer a.end()
	var client keys.Record
	err := h.server.authenticateAt(r.Context(), a.id, a.secret, a.now, &client)
	if err == nil {
		err = h.server.Revoke(r.Context(), client, keys.NewSecret(p.values[token]))
	}
	if err != nil {
		h.fail(w, r, &a, err)
		return
	}
	answer := newAnswer()
	answer.add("{}\n")
	answer.send(w, http.StatusOK)
}

// Introspect is the introspection endpoint (RFC 7662 §2). The answer is
// {"active":false}, or
//
//	{"active":true, "scope", "client_id", "token_type", "exp", "iat", "sub", "iss"}
//
// where sub is the organization that owns the token.
func (h *Handler) Introspect(w http.ResponseWriter, r *http.Request) {
	var p params
	a, ok := h.begin(w, r, &p)
	if !ok {
		return
	}
	defer a.end()
	var found Introspection
	var client keys.Record
	err := h.server.authenticateAt(r.Context(), a.id, a.secret, a.now, &client)
	if err == nil {
		found, err = h.server.Introspect(r.Context(), client, keys.NewSecret(p.values[token]))
	}
	if err != nil {
		h.fail(w, r, &a, err)
		return
	}
	w.Header()["Pragma"] = noCache
	if !found.Active {
		keyshttp.WriteJSON(w, http.StatusOK, struct {
			Active bool `json:"active"`
		}{})
		return
	}
	keyshttp.WriteJSON(w, http.StatusOK, struct {
		Active    bool   `json:"active"`
		Scope     string `json:"scope"`
		ClientID  string `json:"client_id"`
		TokenType string `json:"token_type"`
		Exp       int64  `json:"exp"`
		Iat       int64  `json:"iat"`
		Sub       string `json:"sub"`
		Iss       string `json:"iss"`
	}{true, found.Scope.String(), found.ClientID, "bearer", found.ExpiresAt.Unix(), found.IssuedAt.Unix(), found.Org, h.issuer})
}

// An attempt is one request of a client that has yet to prove who it is.
type attempt struct {
	id     string
	secret keys.Secret
	now    time.Time
	began  bool // there is a secret to check, and failing counts
	bucket bucket
}

// begin reads a request as far as to the credentials in it. It answers, and
// reports false, if there is nothing to check. Otherwise end must be called.
func (h *Handler) begin(w http.ResponseWriter, r *http.Request, p *params) (a attempt, ok bool) {
	if r.Method != http.MethodPost {
		keyshttp.MethodNotAllowed(http.MethodPost).ServeHTTP(w, r)
		return a, false
	}
	err := readParams(r, p)
	if err == nil {
		a.id, a.secret, err = credentials(r, p)
	}
	a.now = time.Now()
	if err == nil && a.id != "" && a.secret.Len() > 0 {
		ok = h.admit(w, r, &a)
		return a, ok
	}
	if err != nil {
		h.fail(w, r, &a, err)
	}
	return a, err == nil
}

// admit waits until an attempt may begin. It answers, and reports false, if it
// may not.
func (h *Handler) admit(w http.ResponseWriter, r *http.Request, a *attempt) bool {
	a.bucket = h.throttle.bucket(a.id, r)
	for {
		turn, wait := h.throttle.begin(&a.bucket, a.now)
		switch {
		case wait > 0:
			h.tooMany(w, wait)
			return false
		case turn == nil:
			a.began = true
			return true
		}
		select {
		case <-turn:
		case <-r.Context().Done():
			a.bucket.leave(turn)
			h.fail(w, r, a, r.Context().Err())
			return false
		}
		a.now = time.Now()
	}
}

// end ends an attempt that begin has let through.
func (a *attempt) end() {
	if a.began {
		a.bucket.end()
	}
}

// fail answers a request with an error.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, a *attempt, err error) {
	if limited, ok := err.(*LimitError); ok {
		h.tooMany(w, limited.Decision.RetryAfter)
		return
	}
	if err == ErrInvalidClient {
		w.Header()["Www-Authenticate"] = h.challenge
		if a.began {
			_, _ = h.throttle.buckets.Take(r.Context(), a.bucket.Bucket, h.throttle.limit, a.now, 1)
		}
	}
	e := answerTo(err)
	if e.Status == http.StatusServiceUnavailable {
		if w.Header().Get("Retry-After") == "" {
			w.Header().Set("Retry-After", "1")
		}
		h.logger.LogAttrs(r.Context(), slog.LevelError, "oauth endpoint failed", slog.String("route", r.Pattern), slog.Any("error", err))
	}
	writeError(w, e)
}

// answerTo returns the answer to an error.
func answerTo(err error) keyshttp.Error {
	switch err := err.(type) {
	case *keyshttp.Error:
		return *err
	case *Error:
		status := http.StatusBadRequest
		if err == ErrInvalidClient {
			status = http.StatusUnauthorized
		}
		return keyshttp.Error{Status: status, Code: err.Code, Description: err.Description}
	}
	return keyshttp.Error{Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable", Description: "The server cannot answer at the moment. Try again."}
}

// tooMany answers 429.
func (h *Handler) tooMany(w http.ResponseWriter, wait time.Duration) {
	seconds := max(1, int64((wait+time.Second-1)/time.Second))
	w.Header()["Retry-After"] = []string{strconv.FormatInt(seconds, 10)}
	writeError(w, keyshttp.Error{
		Status: http.StatusTooManyRequests, Code: "temporarily_unavailable",
		Description: "Too many requests. Retry after the time in the Retry-After header.",
	})
}
