package httpjson

import (
	"errors"
	"net/http"

	"github.com/claviger-auth/claviger/keys"
)

// An Action answers a request of a principal. If it returns an error, it must not have
// written anything.
type Action func(w http.ResponseWriter, r *http.Request, p keys.Principal) error

// Manage returns the handler of an action for the principal in the context of a
// request: see [keys.FromContext]. Without a principal, or with one that has no
// organization, the answer is 401. An error of the action is answered as
// [RefusalOf] says. A nil write is [WriteJSON].
//
// Failed, if not nil, is called after the answer with an error that the operator must
// know of: one that was answered 503, or one that wraps [keys.ErrUnavailable] because a
// change was refused and could not be taken back. It is not called if the client has
// gone, since then the client may have caused the error.
func Manage(do Action, write ErrorWriter, failed func(r *http.Request, err error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, ok := keys.FromContext(r.Context())
		if !ok || p.Org == "" {
			Refuse(w, r, write, Refusal{Status: http.StatusUnauthorized, Code: "unauthorized", Description: "credentials are required"})
			return
		}
		err := do(w, r, p)
		if err == nil {
			return
		}
		status := Refuse(w, r, write, RefusalOf(err))
		if failed == nil || ClientGone(r.Context()) {
			return
		}
		if status == http.StatusServiceUnavailable || errors.Is(err, keys.ErrUnavailable) {
			failed(r, err)
		}
	})
}
