package keyshttp

import (
	"net/http"

	"github.com/claviger-auth/claviger/keys"
)

// Get answers 200 with the key whose ID is the path's {id}, as in the answer
// to [Handler.Create] but without "key". A revoked key can be read too, and
// has "revoked_at" then; "last_used_at" is there if the store knows of a use.
func (h *Handler) Get(w http.ResponseWriter, r *http.Request) {
	p, ok := caller(w, r)
	if !ok {
		return
	}
	rec, err := h.key(r, p)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	doc, err := h.document(r.Context(), rec)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	WriteJSON(w, http.StatusOK, doc)
}

// Change changes the key whose ID is the path's {id}. The body is
//
//	{"label"?: text, "scopes"?: [names], "rate_limit_per_minute"?: n}
//
// What it does not name stays as it is. The always-granted scopes stay too,
// named or not. Each scope in the body must be held by the caller, even if the
// key has it already, and the limit must not be above the caller's own; else
// the errors are as for [Handler.Create]. So a caller can narrow a key that is
// wider than itself, and can never widen one beyond itself. The answer is 200
// with the key as [Handler.Get] shows it, or 409 if it is revoked.
func (h *Handler) Change(w http.ResponseWriter, r *http.Request) {
	p, ok := caller(w, r)
	if !ok {
		return
	}
	change, err := h.readChange(w, r, p)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if err := Recheck(r.Context(), h.manager, p); err != nil {
		h.fail(w, r, err)
		return
	}
	rec, err := h.key(r, p)
	switch {
	case err != nil:
	case rec.Revoked():
		err = keys.ErrRevoked
	case change != keys.Change{}:
		rec, err = h.manager.Change(r.Context(), p.Org, rec.ID, change)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	WriteJSON(w, http.StatusOK, documentOf(rec))
}

// readChange reads the body of a request to change a key.
func (h *Handler) readChange(w http.ResponseWriter, r *http.Request, p keys.Principal) (c keys.Change, err error) {
	var rateLimit *int64
	err = ReadJSON(w, r, h.maxBody, Optional("label", &c.Label), Optional("scopes", &c.Scopes),
		Optional("rate_limit_per_minute", &rateLimit))
	if err != nil {
		return c, err
	}
	if c.Scopes != nil {
		if _, err = h.granted(p, *c.Scopes); err != nil {
			return c, err
		}
	}
	if rateLimit != nil {
		limit, err := checkRateLimit(p, *rateLimit)
		if err != nil {
			return c, err
		}
		c.RateLimit = &limit
	}
	return c, nil
}

// Revoke revokes the key whose ID is the path's {id}, at once and for ever,
// and answers 204 without a body; also if it was revoked before. A key may
// revoke itself.
func (h *Handler) Revoke(w http.ResponseWriter, r *http.Request) {
	p, ok := caller(w, r)
	if !ok {
		return
	}
	rec, err := h.key(r, p)
	if err == nil {
		err = h.manager.Revoke(r.Context(), p.Org, rec.ID)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	neverCache(w)
	w.WriteHeader(http.StatusNoContent)
}
