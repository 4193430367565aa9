package keyspage

import (
	"errors"
	"net/http"
	"strings"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
)

// refused is what the page about a refusal shows.
type refused struct {
	Status      int
	Title, Text string
	Back        string // URL of the page to go back to; may be empty
	Retry       string // URL of the page that may be available later; may be empty
	SignIn      string // URL of the page to sign in; may be empty
	Action      string // URL to which Fields can be sent again; empty if there is no form
	Fields      []field
}

// A field is a field of a form that is kept.
type field struct{ Name, Value string }

// refusals are the titles and texts for codes of refusals.
var refusals = map[string][2]string{
	"unauthorized":            {n("You are not signed in"), n("Sign in to see and manage the keys and clients of your organization.")},
	"invalid_token":           {n("You are not signed in any more"), n("Your session, or the credential that you signed in with, has ended. Nothing was done.")},
	"insufficient_scope":      {n("You may not do this"), n("This needs rights that you do not have. Ask somebody who has them.")},
	"address_not_allowed":     {n("You may not do this from here"), n("Your address is outside of your networks.")},
	"not_found":               {n("There is nothing here"), n("It may have been removed, or it belongs to somebody else.")},
	"method_not_allowed":      {n("This cannot be done here"), n("This page does not take the form that was sent.")},
	"payload_too_large":       {n("This is too much"), n("The form is too long.")},
	"rate_limit_exceeded":     {n("Too many requests"), n("You have sent too many requests. Wait a moment, and try again.")},
	"temporarily_unavailable": {n("The service does not answer"), n("It is not known whether your request was carried out. Check, or try again in a moment.")},
	"cross_origin":            {n("This came from another site"), n("The form was not sent by this page, and nothing was done. If you did not mean to do anything here, close this page.")},
	"limit_reached":           {n("Too many keys or clients"), n("Your organization has as many as it may have. End one that is no longer needed.")},
}

// other are the title and the text for other codes.
var other = [2]string{n("This cannot be done"), n("This page does not understand the request. Go back and try again.")}

// WriteError is an [httpjson.ErrorWriter] that answers with a page. It is for middleware
// around the pages, such as a host's own sessions. If the request is a form of the pages,
// and its sender is no longer signed in, has sent too many requests, or the service has
// failed, the page has a button that sends the form again.
func (h *Handler) WriteError(w http.ResponseWriter, r *http.Request, refusal httpjson.Refusal) {
	if refusal.Status == httpjson.StatusClientGone {
		w.WriteHeader(refusal.Status)
		return
	}
	t := h.texts(r.Context())
	words, ok := refusals[refusal.Code]
	if !ok {
		words = other
	}
	if r.Method == http.MethodGet && refusal.Code == "temporarily_unavailable" {
		words[1] = n("Try again in a moment.")
	}
	ref := refused{Status: refusal.Status, Title: t.T(words[0]), Text: t.T(words[1])}
	if r.Method == http.MethodGet && refusal.RetryAfter > 0 && strings.HasPrefix(r.URL.Path, h.opts.Path+"/") {
		ref.Retry = r.URL.RequestURI()
	}
	for _, s := range states {
		if errors.Is(refusal.Err, s.err) {
			ref.Text = t.T(s.text)
		}
	}
	if p, ok := keys.FromContext(r.Context()); ok && p.Org != "" {
		ref.Back = h.backFrom(r)
	}
	retry := false
	switch refusal.Status {
	case http.StatusUnauthorized:
		ref.SignIn, retry = h.opts.SignIn, true
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		retry = true
	}
	if retry && r.Method == http.MethodPost && h.sectionIn(r) != nil {
		if _, err := readForm(w, r, fields...); err == nil {
			ref.again(r, h.once)
		}
	}
	h.write(w, r, refusal.Status, view{texts: t, Section: h.sectionIn(r), Title: ref.Title, Template: "refused", Content: &ref})
}

// refuseOrigin refuses a request that another site made a browser send.
func (h *Handler) refuseOrigin(w http.ResponseWriter, r *http.Request) {
	httpjson.Refuse(w, r, h.WriteError, httpjson.Refusal{
		Status: http.StatusForbidden, Code: "cross_origin", Description: "the request comes from another site",
	})
}

// again keeps a form so that it can be sent again.
func (f *refused) again(r *http.Request, o once) {
	f.Action = r.URL.EscapedPath()
	for _, name := range fields {
		for _, value := range r.PostForm[name] {
			if name == fieldOnce {
				value = o.mark()
			}
			f.Fields = append(f.Fields, field{name, value})
		}
	}
}

// sectionIn returns the section that the path of r is in, or nil.
func (h *Handler) sectionIn(r *http.Request) *section {
	for _, s := range sections {
		if path := h.at(s); r.URL.Path == path || r.URL.Path == h.newURL(s) || strings.HasPrefix(r.URL.Path, path+"/") {
			return s
		}
	}
	return nil
}

// backFrom returns the page to go back to after a refusal: that of the credential in the
// path of r, or the list.
func (h *Handler) backFrom(r *http.Request) string {
	s := h.sectionIn(r)
	if s == nil {
		return h.opts.Path + "/"
	}
	rest, ok := strings.CutPrefix(r.URL.Path, h.at(s)+"/")
	id, below, _ := strings.Cut(rest, "/")
	if !ok || below == "" {
		return h.at(s)
	}
	return h.at(s, id)
}
