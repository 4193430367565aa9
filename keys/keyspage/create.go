package keyspage

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
)

// newForm shows the form for a new credential.
func (h *Handler) newForm(s *section) action {
	return func(w http.ResponseWriter, r *http.Request, p keys.Principal) error {
		h.writeNew(w, r, s, p, http.StatusOK, url.Values{fieldExpires: {defaultLife}}, nil)
		return nil
	}
}

// writeNew writes the form for a new credential, with what was typed into it.
func (h *Handler) writeNew(w http.ResponseWriter, r *http.Request, s *section, p keys.Principal, status int, values url.Values, problems []problem) {
	t := h.texts(r.Context())
	f := form{
		section: s, Action: h.newURL(s), Back: h.at(s), Values: values, Problems: problems,
		Choices: h.choices(p, scopes.Set{}, values[fieldScopes]), CallerEnds: t.callerEnds(&p), CallerLimit: p.RateLimit,
		Network: p.Networks.String(), HasMetadata: true, Once: h.once.mark(),
	}
	f.Expires = append(options(t, lifetimes, values.Get(fieldExpires)),
		option{untilDate, t.T("On a day that I choose"), values.Get(fieldExpires) == untilDate},
		option{untilNever, t.T("Never"), values.Get(fieldExpires) == untilNever})
	for _, env := range h.manager.As(p).Environments() {
		f.Environments = append(f.Environments, option{env, env, env == values.Get(fieldEnvironment)})
	}
	h.write(w, r, status, view{texts: t, Section: s, Title: t.T(s.New), Template: "form", Content: &f})
}

// create makes a credential, and shows its secret in the answer, once.
func (h *Handler) create(s *section) action {
	return func(w http.ResponseWriter, r *http.Request, p keys.Principal) error {
		values, err := readForm(w, r, fieldLabel, fieldScopes, fieldEnvironment, fieldExpires, fieldUntil, fieldLimit, fieldNetworks, fieldMetadata, fieldOnce)
		if err != nil {
			return err
		}
		t := h.texts(r.Context())
		spec, problems := readSpec(t, s, values)
		if problems != nil {
			h.writeNew(w, r, s, p, http.StatusUnprocessableEntity, values, problems)
			return nil
		}
		if done, err := h.spend(w, r, s, p.Org, values); done || err != nil {
			return err
		}
		issued, err := h.manager.As(p).Create(r.Context(), spec)
		if err == nil {
			h.writeIssued(w, r, s, issued, false)
			return nil
		}
		wrong, status, ok := t.problemOf(err)
		if !ok {
			return err
		}
		h.writeNew(w, r, s, p, status, values, []problem{wrong})
		return nil
	}
}

// readSpec reads the Spec of a new credential from a form.
func readSpec(t texts, s *section, values url.Values) (keys.Spec, []problem) {
	c, problems := readChange(t, values)
	if problems != nil {
		return keys.Spec{}, problems
	}
	spec := keys.Spec{
		Kind: s.kind, Label: *c.Label, Scopes: *c.Scopes, RateLimit: *c.RateLimit, Networks: *c.Networks, Metadata: *c.Metadata,
		Environment: values.Get(fieldEnvironment),
	}
	if c.Lifetime != nil {
		spec.Lifetime = *c.Lifetime
	}
	return spec, nil
}

// spend makes sure that a form whose answer shows a secret is carried out once. If the
// form was sent before or is too old, spend answers the request and returns true.
func (h *Handler) spend(w http.ResponseWriter, r *http.Request, s *section, org string, values url.Values) (done bool, err error) {
	state, err := h.once.use(r.Context(), org, values.Get(fieldOnce))
	switch {
	case err != nil:
		return false, err
	case state == fresh:
		return false, nil
	case state == invalid:
		return false, malformed
	}
	t := h.texts(r.Context())
	text := s.Sent
	if state == tooOld {
		text = n("This form was opened too long ago. Nothing was done; send it once more.")
	}
	ref := refused{Status: http.StatusConflict, Title: t.T("Nothing was done"), Text: t.T(text), Back: h.at(s)}
	if state == tooOld {
		ref.again(r, h.once)
	}
	h.write(w, r, http.StatusConflict, view{texts: t, Section: s, Title: ref.Title, Template: "refused", Content: &ref})
	return true, nil
}

// issued is what the page with a new secret shows.
type issued struct {
	credential
	Text    string // the key, or the secret of the client
	Rotated bool
	Old     credential // the key before this one, if it was rotated
}

// writeIssued answers with a new secret. No other code of the package reveals one.
func (h *Handler) writeIssued(w http.ResponseWriter, r *http.Request, s *section, made keys.Issued, rotated bool) {
	t := h.texts(r.Context())
	i := issued{credential: h.credential(t, s, made.Record, nil, nil), Text: made.Text.Reveal(), Rotated: rotated}
	if made.Record.Replaces != "" {
		old, err := h.manager.Get(r.Context(), made.Record.Org, s.kind, made.Record.Replaces)
		if err != nil {
			h.log(r, err) // and go on, since the new key is good
		} else {
			i.Old = h.credential(t, s, old, nil, nil)
		}
	}
	status := http.StatusCreated
	if rotated && s.kind == keys.KindClient {
		status = http.StatusOK
	}
	w.Header().Set("Pragma", "no-cache")
	h.write(w, r, status, view{texts: t, Section: s, Title: t.T(s.Issued), Template: "issued", Content: &i})
}

// settled logs the error of a rotation whose secret is good although the change is not
// yet seen everywhere, and returns nil. It returns other errors as they are.
func (h *Handler) settled(r *http.Request, made keys.Issued, err error) error {
	if errors.Is(err, keys.ErrUnsettled) && made.Text.Len() > 0 {
		h.log(r, err)
		return nil
	}
	return err
}
