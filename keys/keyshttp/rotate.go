package keyshttp

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// Rotate makes a new key with the label, scopes, limit and expiry of the one
// whose ID is the path's {id}. The body, which may be missing, is
//
//	{"overlap"?: seconds}
//
// The old key stays good for so long, from 0 (it ends at once) to 315360000,
// and never longer than it would have been; without overlap it lives on
// until it is revoked. The answer is that of [Handler.Create] for the new key.
// It is 403 if the key has a scope that the caller does not hold or a limit
// above the caller's own, and 409 if it is revoked or expired.
func (h *Handler) Rotate(w http.ResponseWriter, r *http.Request) {
	p, ok := caller(w, r)
	if !ok {
		return
	}
	overlap, err := h.readOverlap(w, r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	issued, err := h.rotate(r, p, overlap)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	collection, _ := strings.CutSuffix(r.URL.EscapedPath(), "/"+r.PathValue("id")+"/rotate")
	writeIssued(w, collection, issued)
}

// readOverlap reads the body of a request to rotate a key.
func (h *Handler) readOverlap(w http.ResponseWriter, r *http.Request) (time.Duration, error) {
	var seconds *int64
	if err := ReadJSON(w, r, h.maxBody, Optional("overlap", &seconds)); err != nil {
		return 0, err
	}
	switch {
	case seconds == nil:
		return keys.Forever, nil
	case *seconds < 0 || *seconds > maxSeconds:
		return 0, invalidValue("overlap is not from 0 to 315360000 seconds")
	}
	return time.Duration(*seconds) * time.Second, nil
}

// rotate rotates the key that the request's path names, if p could have made
// one like it.
func (h *Handler) rotate(r *http.Request, p keys.Principal, overlap time.Duration) (keys.Issued, error) {
	if err := Recheck(r.Context(), h.manager, p); err != nil {
		return keys.Issued{}, err
	}
	rec, err := h.key(r, p)
	switch {
	case err != nil:
		return keys.Issued{}, err
	case !h.covers(p, rec):
		return keys.Issued{}, insufficientScope("the key has scopes or a rate limit that the caller does not have")
	}
	issued, err := h.manager.Rotate(r.Context(), p.Org, rec.ID, overlap)
	if err != nil || h.covers(p, issued.Record) {
		return issued, err
	}
	// Somebody widened the key between the check and the rotation. The new
	// secret is dropped here, so nobody can use it even if this fails.
	err = h.manager.Revoke(context.WithoutCancel(r.Context()), p.Org, issued.Record.ID)
	return keys.Issued{}, errors.Join(errMeanwhile, err)
}

// covers reports whether p has all that rec has.
func (h *Handler) covers(p keys.Principal, rec keys.Record) bool {
	return h.holds(p, rec.Scopes) && rec.RateLimit <= p.RateLimit
}
