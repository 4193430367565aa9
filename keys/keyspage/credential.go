package keyspage

import (
	"context"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
)

// A credential is a key or a client as pages show it. It holds no secret.
type credential struct {
	*section
	Record      keys.Record
	URL         string
	ListURL     string // the URL of the section's list
	Name        string // the label, or the ID if there is none
	State       state
	Scopes      []scope
	Maker       link
	Created     moment
	Expires     moment
	LastUsed    moment
	Previous    moment // until when the secret before this one is good
	Replaces    link
	ReplacedBy  link
	Environment string
}

// A state is what can be done with a credential, as a class for the stylesheet and
// as text.
type state struct{ Class, Text string }

// A scope is a scope with its description.
type scope struct {
	Name, Description string
	Always            bool // every credential has it
	Gone              bool // it is not in the catalog
}

// A link leads to a credential. If URL is empty, it is plain text.
type link struct{ Text, URL string }

// EditURL, RotateURL, PauseURL, ResumeURL and RevokeURL return the URLs of the pages and
// forms that change the credential.
func (c *credential) EditURL() string   { return c.URL + "/edit" }
func (c *credential) RotateURL() string { return c.URL + "/rotate" }
func (c *credential) PauseURL() string  { return c.URL + "/pause" }
func (c *credential) ResumeURL() string { return c.URL + "/resume" }
func (c *credential) RevokeURL() string { return c.URL + "/revoke" }

// Lead returns the scope that a list shows of the credential: the first one that is not
// always granted, or else the first one.
func (c *credential) Lead() string {
	for _, s := range c.Scopes {
		if !s.Always {
			return s.Name
		}
	}
	if len(c.Scopes) > 0 {
		return c.Scopes[0].Name
	}
	return "–"
}

// Rest returns how many scopes the credential has besides Lead.
func (c *credential) Rest() int { return max(0, len(c.Scopes)-1) }

// Live reports whether the credential is neither revoked nor expired.
func (c *credential) Live() bool { return c.State.Class != classOff }

// Paused reports whether the credential is paused.
func (c *credential) Paused() bool { return c.Record.Disabled() }

// Revoked reports whether the credential is revoked.
func (c *credential) Revoked() bool { return c.Record.Revoked() }

// Classes of states.
const (
	classOn      = "on"
	classPaused  = "paused"
	classLeaving = "leaving"
	classOff     = "off"
)

func (t texts) state(s *section, rec *keys.Record) state {
	switch {
	case rec.Revoked():
		return state{classOff, t.T(s.Ended)}
	case rec.Expired(t.now):
		return state{classOff, t.T("Expired")}
	case rec.Disabled():
		return state{classPaused, t.T("Paused")}
	case rec.ReplacedBy != "":
		return state{classLeaving, t.T("Replaced")}
	}
	return state{classOn, t.T("Active")}
}

// scopesOf returns scopes with their descriptions.
func (h *Handler) scopesOf(set scopes.Set) []scope {
	known := make(map[string]scopes.Scope)
	for _, s := range h.manager.Catalog().Scopes() {
		known[s.Name] = s
	}
	var all []scope
	for name := range set.All() {
		s, ok := known[name]
		all = append(all, scope{Name: name, Description: s.Description, Always: ok && s.Status == scopes.Always, Gone: !ok})
	}
	return all
}

// credential returns a record as pages show it, given the last uses by ID, and the
// labels of other credentials by ID.
func (h *Handler) credential(t texts, s *section, rec keys.Record, uses map[string]time.Time, names map[string]string) credential {
	c := credential{
		section: s, Record: rec, URL: h.at(s, rec.ID), ListURL: h.at(s), Name: nameOf(rec.Label, rec.ID), State: t.state(s, &rec), Scopes: h.scopesOf(rec.Scopes),
		Created: t.moment(rec.CreatedAt), Expires: t.moment(rec.ExpiresAt), LastUsed: t.moment(uses[rec.ID]),
		Previous: t.moment(rec.PreviousExpiresAt), Environment: rec.Environment,
		Maker: h.link(rec.CreatedBy, names), Replaces: h.link(rec.Replaces, names), ReplacedBy: h.link(rec.ReplacedBy, names),
	}
	if c.Previous.Past {
		c.Previous = moment{}
	}
	return c
}

// nameOf returns the name under which pages show a credential: its label, or its ID if
// nothing of the label can be seen.
func nameOf(label, id string) string {
	if strings.ContainsFunc(label, func(c rune) bool { return unicode.IsGraphic(c) && !unicode.IsSpace(c) }) {
		return label
	}
	return id
}

// link returns a link to the credential with an ID. If the ID is the name of an actor,
// the link has no URL.
func (h *Handler) link(id string, names map[string]string) link {
	l := link{Text: nameOf(names[id], id)}
	if id != "" && !strings.Contains(id, ":") {
		l.URL = h.opts.Path + "/find/" + id
	}
	return l
}

// A partner is the other key of a rotation.
type partner struct {
	credential
	Title string
}

// one is what the page about a credential shows.
type one struct {
	credential
	UsesKept  bool
	RateLimit int
	Networks  []string
	Metadata  string
	Rotation  []partner // the keys before and after this one, and itself between
	LateUse   bool      // a replaced key was used after its successor was made
	StillUsed bool      // the same, and the replaced key has not ended
	Done      string    // what the form before this page has done
	Itself    bool      // the reader is signed in with the credential
	History   *history  // nil without a trail
}

// done returns the text that says what was done, for the value of the query parameter
// done. It returns "" for unknown values.
func (s *section) done(name string) string {
	switch name {
	case "changed":
		return s.Changed
	case "paused":
		return s.Paused
	case "resumed":
		return s.Resumed
	}
	return ""
}

// show shows one credential.
func (h *Handler) show(s *section) action {
	return func(w http.ResponseWriter, r *http.Request, p keys.Principal) error {
		rec, err := h.manager.Get(r.Context(), p.Org, s.kind, r.PathValue("id"))
		if err != nil {
			return err
		}
		t := h.texts(r.Context())
		o, err := h.one(r.Context(), t, s, rec)
		if err != nil {
			return err
		}
		o.Itself, o.History = rec.ID == p.LastingID(), h.history(r, t, s, &rec)
		if done := s.done(r.URL.Query().Get("done")); done != "" {
			o.Done = t.T(done)
		}
		h.write(w, r, http.StatusOK, view{texts: t, Section: s, Title: o.Name, Template: "one", Content: &o})
		return nil
	}
}

// one reads what the page about a credential shows.
func (h *Handler) one(ctx context.Context, t texts, s *section, rec keys.Record) (o one, err error) {
	var around []keys.Record // the keys before and after this one
	names := map[string]string{}
	for _, id := range []string{rec.Replaces, rec.ReplacedBy, rec.CreatedBy} {
		if id == "" || strings.Contains(id, ":") {
			continue
		}
		other, err := h.manager.Get(ctx, rec.Org, "", id)
		switch {
		case err == nil:
			names[id] = other.Label
		case !isNotFound(err):
			return one{}, err
		}
		if err == nil && other.Kind == keys.KindKey && id != rec.CreatedBy {
			around = append(around, other)
		}
	}
	ids := []string{rec.ID}
	for i := range around {
		ids = append(ids, around[i].ID)
	}
	uses, err := h.manager.LastUses(ctx, ids...)
	if err != nil {
		return one{}, err
	}
	o = one{credential: h.credential(t, s, rec, uses, names), UsesKept: uses != nil, Networks: rec.Networks.Strings(), Metadata: indented(rec.Metadata)}
	if o.RateLimit, err = h.manager.RateLimit(ctx, rec); err != nil {
		return one{}, err
	}
	o.rotation(h, t, around, uses, names)
	return o, nil
}

// rotation sets Rotation, LateUse and StillUsed, given the keys before and after this
// one.
func (o *one) rotation(h *Handler, t texts, around []keys.Record, uses map[string]time.Time, names map[string]string) {
	if len(around) == 0 {
		return
	}
	for _, rec := range around {
		if rec.ID == o.Record.Replaces {
			old := h.credential(t, o.section, rec, uses, names)
			o.Rotation = append(o.Rotation, partner{old, t.T("Before")})
			o.use(&old, &o.Record, uses)
		}
	}
	o.Rotation = append(o.Rotation, partner{o.credential, t.T("This key")})
	for _, rec := range around {
		if rec.ID == o.Record.ReplacedBy {
			o.Rotation = append(o.Rotation, partner{h.credential(t, o.section, rec, uses, names), t.T("Its successor")})
			o.use(&o.credential, &rec, uses)
		}
	}
}

// use notes whether a replaced key was used after its successor was made.
func (o *one) use(old *credential, next *keys.Record, uses map[string]time.Time) {
	if uses[old.Record.ID].After(next.CreatedAt) {
		o.LateUse = true
		o.StillUsed = o.StillUsed || old.Live()
	}
}
