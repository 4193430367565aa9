package keyspage

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/claviger-auth/claviger/keys"
)

const (
	maxTokens   = 1000 // how many tokens of the organization are read to count those of a client
	maxListed   = 100  // how many descendants are named
	familyToo   = "1"
	familyAlone = ""
)

// An ending is what the page shows that asks before a credential is revoked.
type ending struct {
	credential
	Action      string
	Problems    []problem
	Descendants []credential // the first maxListed of those that can be revoked too
	Count       int          // the number of all descendants
	Tokens      int          // the number of live tokens of a client, as far as they were counted
	TokensMore  bool         // the client may have more tokens
	UsesKept    bool
	Family      bool // the reader has chosen to revoke the descendants too
	Itself      bool // the reader is signed in with the credential
}

// revokeForm asks before a credential is revoked, and names what depends on it.
func (h *Handler) revokeForm(s *section) action {
	return func(w http.ResponseWriter, r *http.Request, p keys.Principal) error {
		return h.writeEnding(w, r, s, p, http.StatusOK, url.Values{}, nil)
	}
}

func (h *Handler) writeEnding(w http.ResponseWriter, r *http.Request, s *section, p keys.Principal, status int, values url.Values, problems []problem) error {
	ctx, t := r.Context(), h.texts(r.Context())
	rec, err := h.changeable(ctx, s, p.Org, r.PathValue("id"))
	if err != nil {
		return err
	}
	made, err := h.manager.Descendants(ctx, p.Org, s.kind, rec.ID)
	if err != nil {
		return err
	}
	e := ending{Action: h.at(s, rec.ID, "revoke"), Problems: problems, Count: len(made), Family: values.Get(fieldFamily) == familyToo, Itself: rec.ID == p.LastingID()}
	if e.Tokens, e.TokensMore, err = h.liveTokens(ctx, t, &rec); err != nil {
		return err
	}
	names := map[string]string{rec.ID: rec.Label}
	for _, d := range made {
		names[d.ID] = d.Label
	}
	made = made[:min(len(made), maxListed)]
	uses, err := h.manager.LastUses(ctx, append(ids(made), rec.ID)...)
	if err != nil {
		return err
	}
	e.UsesKept = uses != nil
	e.credential = h.credential(t, s, rec, uses, names)
	for _, d := range made {
		e.Descendants = append(e.Descendants, h.credential(t, sectionOf(d.Kind), d, uses, names))
	}
	h.write(w, r, status, view{texts: t, Section: s, Title: t.T(s.End), Template: "end", Content: &e})
	return nil
}

// liveTokens counts the good tokens of a client among the first maxTokens of its
// organization. It also reports whether there may be more.
func (h *Handler) liveTokens(ctx context.Context, t texts, client *keys.Record) (count int, more bool, err error) {
	if client.Kind != keys.KindClient {
		return 0, false, nil
	}
	read := 0
	for rec, err := range h.manager.List(ctx, keys.Query{Org: client.Org, Kind: keys.KindToken, Live: true, Limit: maxTokens}) {
		if err != nil {
			return 0, false, err
		}
		if rec.Parent == client.ID && !rec.Expired(t.now) {
			count++
		}
		if read++; read == maxTokens {
			return count, true, nil
		}
	}
	return count, false, nil
}

// revoke revokes a credential, and also its descendants if the reader has chosen that.
func (h *Handler) revoke(s *section) action {
	return func(w http.ResponseWriter, r *http.Request, p keys.Principal) error {
		values, err := readForm(w, r, fieldFamily)
		if err != nil {
			return err
		}
		actor, id := h.manager.As(p), r.PathValue("id")
		switch values.Get(fieldFamily) {
		case familyAlone:
			err = actor.Revoke(r.Context(), s.kind, id)
		case familyToo:
			_, err = actor.RevokeDescendants(r.Context(), s.kind, id)
		default:
			err = malformed
		}
		if errors.Is(err, keys.ErrBeyond) {
			t := h.texts(r.Context())
			text := t.T("You do not have all the scopes that this needs. Nothing was ended. Ask somebody who has them.")
			return h.writeEnding(w, r, s, p, http.StatusForbidden, values, []problem{{"", text}})
		}
		if err != nil {
			return err
		}
		h.redirect(w, r, h.at(s, id))
		return nil
	}
}
