package keyspage

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/scopes"
)

// changeable returns a credential that is not revoked. If it is, the error is
// [keys.ErrRevoked].
func (h *Handler) changeable(ctx context.Context, s *section, org, id string) (keys.Record, error) {
	rec, err := h.manager.Get(ctx, org, s.kind, id)
	if err == nil && rec.Revoked() {
		err = keys.ErrRevoked
	}
	return rec, err
}

// editForm shows the form with the settings of a credential.
func (h *Handler) editForm(s *section) action {
	return func(w http.ResponseWriter, r *http.Request, p keys.Principal) error {
		rec, err := h.changeable(r.Context(), s, p.Org, r.PathValue("id"))
		if err != nil {
			return err
		}
		h.writeEdit(w, r, s, p, http.StatusOK, &rec, valuesOf(&rec), nil)
		return nil
	}
}

// valuesOf returns the fields of a form that would change nothing.
func valuesOf(rec *keys.Record) url.Values {
	values := url.Values{
		fieldLabel: {rec.Label}, fieldScopes: rec.Scopes.Names(), fieldNetworks: {strings.Join(rec.Networks.Strings(), "\n")},
		fieldExpires: {untilAsIs},
	}
	if rec.RateLimit > 0 {
		values.Set(fieldLimit, strconv.Itoa(rec.RateLimit))
	}
	if isObject(rec.Metadata) {
		values.Set(fieldMetadata, indented(rec.Metadata))
	}
	return values
}

func (h *Handler) writeEdit(w http.ResponseWriter, r *http.Request, s *section, p keys.Principal, status int, rec *keys.Record, values url.Values, problems []problem) {
	t := h.texts(r.Context())
	c := h.credential(t, s, *rec, nil, nil)
	f := form{
		section: s, credential: &c, Action: h.at(s, rec.ID, "edit"), Back: c.URL, Values: values, Problems: problems,
		Choices: h.choices(p, rec.Scopes, values[fieldScopes]), CallerEnds: t.callerEnds(&p), CallerLimit: p.RateLimit,
		Network: p.Networks.String(), HasMetadata: isObject(rec.Metadata), Version: versionText(rec),
	}
	switch {
	case rec.Expired(t.now):
		f.KeepsEnd = t.T("It has expired. Create another one in its place.")
	case rec.ReplacedBy != "":
		f.KeepsEnd = t.T("Its end cannot be changed, since it was replaced by another key.")
	}
	asIs := t.T("As it is: never")
	if c.Expires.Set {
		asIs = t.T("As it is: %s", c.Expires.Text)
	}
	f.Expires = append([]option{{untilAsIs, asIs, values.Get(fieldExpires) == untilAsIs}}, options(t, lifetimes, values.Get(fieldExpires))...)
	f.Expires = append(f.Expires, option{untilDate, t.T("On a day that I choose"), values.Get(fieldExpires) == untilDate})
	h.write(w, r, status, view{texts: t, Section: s, Title: t.T(s.Edit), Template: "form", Content: &f})
}

// edit changes a credential. Fields that are as in the record change nothing.
func (h *Handler) edit(s *section) action {
	return func(w http.ResponseWriter, r *http.Request, p keys.Principal) error {
		values, err := readForm(w, r, fieldLabel, fieldScopes, fieldExpires, fieldUntil, fieldLimit, fieldNetworks, fieldMetadata, fieldVersion)
		if err != nil {
			return err
		}
		version, err := versionOf(values)
		if err != nil {
			return err
		}
		rec, err := h.changeable(r.Context(), s, p.Org, r.PathValue("id"))
		if err != nil {
			return err
		}
		t := h.texts(r.Context())
		c, problems := readChange(t, values)
		if problems != nil {
			h.writeEdit(w, r, s, p, http.StatusUnprocessableEntity, &rec, values, problems)
			return nil
		}
		always := h.manager.Catalog().Always()
		if c = difference(&rec, c, always); c == (keys.Change{}) {
			h.redirect(w, r, h.at(s, rec.ID))
			return nil
		}
		c.Version = version
		if _, err = h.manager.As(p).Change(r.Context(), s.kind, rec.ID, c); err == nil {
			h.redirect(w, r, h.at(s, rec.ID)+"?done=changed")
			return nil
		}
		if errors.Is(err, keys.ErrConflict) {
			return h.writeConflict(w, r, s, p, rec.ID, values)
		}
		wrong, status, ok := t.problemOf(err)
		if !ok {
			return err
		}
		if wrong.Field == fieldEnvironment {
			// A field that this form does not have.
			wrong = problem{"", t.T("It is in an environment that is not yours. You can take away from it, and give it nothing more.")}
		}
		h.writeEdit(w, r, s, p, status, &rec, values, []problem{wrong})
		return nil
	}
}

// difference returns c without the fields that are as they are in rec.
func difference(rec *keys.Record, c keys.Change, always scopes.Set) keys.Change {
	if *c.Label == oneLine(rec.Label) {
		c.Label = nil
	}
	if set, err := scopes.Of(*c.Scopes...); err == nil && set.Union(always) == rec.Scopes.Union(always) {
		c.Scopes = nil
	}
	if *c.RateLimit == rec.RateLimit {
		c.RateLimit = nil
	}
	if *c.Networks == rec.Networks {
		c.Networks = nil
	}
	if *c.Metadata == rec.Metadata || !isObject(rec.Metadata) {
		c.Metadata = nil
	}
	return c
}

// oneLine returns a label as a form sends it if nobody has changed it: browsers remove
// line breaks, and readChange the spaces around it.
func oneLine(label string) string {
	return strings.TrimSpace(strings.NewReplacer("\r", "", "\n", "").Replace(label))
}

// writeConflict shows what was typed beside what the credential is now, after somebody
// else has changed it. If the form is sent again, it overwrites that.
func (h *Handler) writeConflict(w http.ResponseWriter, r *http.Request, s *section, p keys.Principal, id string, values url.Values) error {
	rec, err := h.changeable(r.Context(), s, p.Org, id)
	if err != nil {
		return err
	}
	t := h.texts(r.Context())
	problems := []problem{{"", t.T("Somebody else, or you in another tab, changed it in the meantime. Nothing that you see here was saved. Beside each field that differs you see its present value. Save again to overwrite it.")}}
	c, _ := readChange(t, values)
	c = difference(&rec, c, h.manager.Catalog().Always())
	now := valuesOf(&rec)
	for field, differs := range map[string]bool{
		fieldLabel: c.Label != nil, fieldScopes: c.Scopes != nil, fieldLimit: c.RateLimit != nil, fieldNetworks: c.Networks != nil, fieldMetadata: c.Metadata != nil,
	} {
		if !differs {
			continue
		}
		text := strings.Join(now[field], ", ")
		if text == "" {
			text = t.T("empty")
		}
		problems = append(problems, problem{field, t.T("It is now: %s", text)})
	}
	h.writeEdit(w, r, s, p, http.StatusConflict, &rec, values, problems)
	return nil
}

// pause pauses a credential, or resumes it.
func (h *Handler) pause(s *section, disabled bool) action {
	done := map[bool]string{true: "paused", false: "resumed"}[disabled]
	return func(w http.ResponseWriter, r *http.Request, p keys.Principal) error {
		if _, err := readForm(w, r); err != nil {
			return err
		}
		id := r.PathValue("id")
		_, err := h.manager.As(p).Change(r.Context(), s.kind, id, keys.Change{Disabled: &disabled})
		if errors.Is(err, keys.ErrBeyond) { // to resume needs all that the credential has
			err = &httpjson.Refusal{Status: http.StatusForbidden, Code: "insufficient_scope", Err: err}
		}
		if err != nil {
			return err
		}
		h.redirect(w, r, h.at(s, id)+"?done="+done)
		return nil
	}
}
