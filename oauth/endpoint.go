package oauth

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
)

// token is the token endpoint (RFC 6749 §3.2). See the package comment for what
// it takes and answers.
func (h *Handler) token(w http.ResponseWriter, r *http.Request) {
	var p params
	a, ok := h.begin(w, r, &p)
	if !ok {
		return
	}
	defer a.end()
	request := Request{GrantType: p.values[grantType], ClientID: a.id, ClientSecret: a.secret, Scope: p.values[scope], Address: a.addr}
	var x exchange
	err := h.server.exchangeAt(r.Context(), &request, a.now, &x)
	if x.client.ID != "" {
		h.proved(&a, &x.client)
	}
	if err != nil {
		h.fail(w, r, &a, err)
		return
	}
	h.tell(r, &a, keys.Event{Type: keys.Accepted})
	// Neither tokens nor scopes have characters that JSON escapes.
	answer := newAnswer()
	answer.add(`{"access_token":"`)
	answer.add(x.issued.Text.Reveal())
	answer.add(`","token_type":"bearer","expires_in":`)
	answer.text = strconv.AppendInt(answer.text, int64(expiresIn(&x.issued.Record)/time.Second), 10)
	answer.add(`,"scope":"`)
	answer.add(x.asked.String())
	answer.add("\"}\n")
	answer.send(w, http.StatusOK)
}

// authenticate checks the client of an attempt.
func (h *Handler) authenticate(r *http.Request, a *attempt) (client keys.Record, err error) {
	if err = h.server.authenticateAt(r.Context(), a.id, a.secret, a.addr, a.now, &client); err == nil {
		h.proved(a, &client)
	}
	return client, err
}

// revoke is the revocation endpoint (RFC 7009 §2). It answers 200, also for a
// token that is unknown or over, 400 invalid_grant for one of another client, and 400
// unsupported_token_type for an API key. The body of the 200 means nothing (§2.2); it
// is {} for clients that expect JSON wherever they look.
func (h *Handler) revoke(w http.ResponseWriter, r *http.Request) {
	var p params
	a, ok := h.begin(w, r, &p)
	if !ok {
		return
	}
	defer a.end()
	client, err := h.authenticate(r, &a)
	if err == nil {
		err = h.server.Revoke(r.Context(), client, keys.NewSecret(p.values[token]))
	}
	if err != nil {
		h.fail(w, r, &a, err)
		return
	}
	h.tell(r, &a, keys.Event{Type: keys.Accepted})
	answer := newAnswer()
	answer.add("{}\n")
	answer.send(w, http.StatusOK)
}

// introspect is the introspection endpoint (RFC 7662 §2). The answer is
// {"active":false}, or
//
//	{"active":true, "scope", "client_id"?, "token_type", "exp"?, "iat", "sub", "iss"}
//
// where sub is the organization that owns the credential. An API key has no
// client_id, and no exp if it does not expire.
func (h *Handler) introspect(w http.ResponseWriter, r *http.Request) {
	var p params
	a, ok := h.begin(w, r, &p)
	if !ok {
		return
	}
	defer a.end()
	var found Introspection
	client, err := h.authenticate(r, &a)
	if err == nil {
		found, err = h.server.Introspect(r.Context(), client, keys.NewSecret(p.values[token]))
	}
	if err != nil {
		h.fail(w, r, &a, err)
		return
	}
	h.tell(r, &a, keys.Event{Type: keys.Accepted})
	w.Header().Set("Pragma", "no-cache")
	if !found.Active {
		httpjson.Write(w, http.StatusOK, struct {
			Active bool `json:"active"`
		}{})
		return
	}
	var expires int64
	if !found.ExpiresAt.IsZero() {
		expires = found.ExpiresAt.Unix()
	}
	httpjson.Write(w, http.StatusOK, struct {
		Active    bool   `json:"active"`
		Scope     string `json:"scope"`
		ClientID  string `json:"client_id,omitempty"`
		TokenType string `json:"token_type"`
		Exp       int64  `json:"exp,omitempty"`
		Iat       int64  `json:"iat"`
		Sub       string `json:"sub"`
		Iss       string `json:"iss"`
	}{true, found.Scope.String(), found.ClientID, "bearer", expires, found.IssuedAt.Unix(), found.Org, h.issuer})
}

// An attempt is one request of a client that has yet to prove who it is.
type attempt struct {
	id      string
	org     string // of the client; empty until it has proved who it is
	secret  keys.Secret
	addr    netip.Addr
	now     time.Time
	hash    uint64    // of the credentials; 0 if a part of them is missing
	buckets [2]bucket // in which a failure counts
	began   int       // how many of the buckets it has been started in
}

// begin reads the parameters and the credentials of a request, and starts its
// attempt. It answers, and reports false, if the request cannot be read or has to be
// refused. Otherwise the caller must call end.
func (h *Handler) begin(w http.ResponseWriter, r *http.Request, p *params) (a attempt, ok bool) {
	err := readParams(r, p)
	if err == nil {
		a.id, a.secret, err = credentials(r, p)
	}
	a.now, a.addr = time.Now(), h.throttle.addr(r)
	if err != nil {
		h.fail(w, r, &a, err)
		return a, false
	}
	if a.id == "" || a.secret.Len() == 0 {
		return a, true // the server refuses it
	}
	a.hash = h.throttle.credentials(a.id, a.secret, a.addr)
	if h.throttle.good.lately(a.hash, a.now) {
		return a, true // exempt, whatever others do at its address
	}
	a.buckets = h.throttle.bucketsOf(a.id, a.addr)
	for i := range a.buckets {
		if !h.admit(w, r, &a, &a.buckets[i]) {
			a.end()
			return a, false
		}
		a.began++
	}
	return a, true
}

// admit waits until an attempt may start in a bucket. It answers, and reports false,
// if the bucket permits no more failures or the client has gone.
func (h *Handler) admit(w http.ResponseWriter, r *http.Request, a *attempt, b *bucket) bool {
	for {
		turn, wait := h.throttle.begin(b, a.now)
		switch {
		case wait > 0:
			h.tell(r, a, keys.Event{Type: keys.Refused, Reason: keys.ReasonLimit})
			h.tooMany(w, wait)
			return false
		case turn == nil:
			return true
		}
		select {
		case <-turn:
		case <-r.Context().Done():
			b.leave(turn)
			h.fail(w, r, a, r.Context().Err())
			return false
		}
		a.now = time.Now()
	}
}

// end ends an attempt in all buckets in which it was started.
func (a *attempt) end() {
	for i := range a.began {
		a.buckets[i].end()
	}
}

// proved notes that the client of an attempt proved who it is.
func (h *Handler) proved(a *attempt, client *keys.Record) {
	h.throttle.good.note(a.hash, a.now)
	a.id, a.org = client.ID, client.Org
}

// tell reports an event about an attempt to the hook. Each attempt has one.
func (h *Handler) tell(r *http.Request, a *attempt, e keys.Event) {
	if h.hook == nil {
		return
	}
	switch {
	case a.org != "":
		e.Org, e.ID, e.Kind = a.org, a.id, keys.KindClient
	case keys.PossibleID(a.id):
		e.ID = strings.Clone(a.id) // it is a part of the request
	}
	e.Time = a.now
	ctx := r.Context()
	if e.Type == keys.Refused {
		ctx = keys.NewAddressContext(ctx, a.addr)
	}
	h.hook(ctx, e)
}

// fail answers a request with an error.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, a *attempt, err error) {
	if limited, ok := err.(*LimitError); ok {
		h.tell(r, a, keys.Event{Type: keys.Refused, Reason: keys.ReasonLimit})
		h.tooMany(w, limited.Decision.RetryAfter)
		return
	}
	if credentialError(err) == ErrInvalidClient {
		if err != errOutside {
			h.count(r, a)
		}
		h.tell(r, a, keys.Event{Type: keys.Refused, Reason: reasonOf(err)})
		err = ErrInvalidClient
	}
	e, challenge, wait := answerTo(r, err), "", ""
	switch e.Status {
	case http.StatusUnauthorized:
		challenge = h.challenge
	case http.StatusServiceUnavailable:
		wait = "1"
		h.tell(r, a, keys.Event{Type: keys.Refused, Reason: keys.ReasonUnavailable, Err: err})
		h.failed(fmt.Errorf("%s: %w", r.Pattern, err))
	case httpjson.StatusClientGone:
		h.tell(r, a, keys.Event{Type: keys.Refused, Reason: keys.ReasonCanceled})
	default:
		if a.org != "" { // it asked for what it cannot have
			h.tell(r, a, keys.Event{Type: keys.Accepted})
		}
	}
	sendError(w, &e, challenge, wait)
}

// reasonOf returns why a client is refused, for events. The answer does not say it.
func reasonOf(err error) string {
	switch err {
	case errOutside:
		return keys.ReasonNetwork
	case ErrInvalidClient:
		return keys.ReasonMalformed // an Authorization field without credentials of a client
	}
	return keys.Reason(err)
}

// count counts the failure of an attempt.
func (h *Handler) count(r *http.Request, a *attempt) {
	if a.hash == 0 {
		return // no secret was presented
	}
	if a.began == 0 { // it was exempt, since it was right lately
		h.throttle.good.forget(a.hash)
		a.buckets = h.throttle.bucketsOf(a.id, a.addr)
	}
	for i := range a.buckets {
		_, _ = h.throttle.buckets.Take(r.Context(), a.buckets[i].Bucket, a.buckets[i].limit, a.now, 1)
	}
}

// answerTo returns the answer to an error.
func answerTo(r *http.Request, err error) httpjson.Refusal {
	switch err := err.(type) {
	case *httpjson.Refusal:
		return *err
	case *Error:
		status := http.StatusBadRequest
		if err == ErrInvalidClient {
			status = http.StatusUnauthorized
		}
		return httpjson.Refusal{Status: status, Code: err.Code, Description: err.Description}
	}
	if httpjson.ClientGone(r.Context()) {
		return httpjson.Refusal{Status: httpjson.StatusClientGone, Code: "client_gone", Description: "The client has gone."}
	}
	return httpjson.Refusal{
		Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable",
		Description: "The server cannot answer at the moment. Try again.",
	}
}

var errTooMany = httpjson.Refusal{
	Status: http.StatusTooManyRequests, Code: "temporarily_unavailable",
	Description: "Too many requests. Retry after the time in the Retry-After header.",
}

// tooMany answers 429.
func (h *Handler) tooMany(w http.ResponseWriter, wait time.Duration) {
	seconds := max(1, int64((wait+time.Second-1)/time.Second))
	sendError(w, &errTooMany, "", strconv.FormatInt(seconds, 10))
}
