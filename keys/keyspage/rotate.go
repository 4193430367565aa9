package keyspage

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/claviger-auth/claviger/keys"
)

// A rotation is what the page shows that replaces a key or a secret.
type rotation struct {
	credential
	Action         string
	Problems       []problem
	Values         url.Values
	Overlaps       []option
	Ends           []option
	UsesKept       bool
	Itself         bool
	Once, Revision string
}

// Problem returns what is wrong with a field, or "".
func (f *rotation) Problem(field string) string { return problemWith(f.Problems, field) }

// rotatable returns a credential that can be rotated, or why it cannot.
func (h *Handler) rotatable(ctx context.Context, t texts, s *section, org, id string) (keys.Record, error) {
	rec, err := h.changeable(ctx, s, org, id)
	switch {
	case err != nil:
		return rec, err
	case rec.Expired(t.now):
		return rec, keys.ErrExpired
	case rec.Disabled():
		return rec, keys.ErrPaused
	}
	return rec, nil
}

// rotateForm shows the form that replaces a key or a client's secret.
func (h *Handler) rotateForm(s *section) action {
	return func(w http.ResponseWriter, r *http.Request, p keys.Principal) error {
		rec, err := h.rotatable(r.Context(), h.texts(r.Context()), s, p.Org, r.PathValue("id"))
		if err != nil {
			return err
		}
		return h.writeRotation(w, r, s, p, http.StatusOK, &rec, url.Values{fieldOverlap: {defaultOverlap}}, nil)
	}
}

func (h *Handler) writeRotation(w http.ResponseWriter, r *http.Request, s *section, p keys.Principal, status int, rec *keys.Record, values url.Values, problems []problem) error {
	t := h.texts(r.Context())
	uses, err := h.manager.LastUses(r.Context(), rec.ID)
	if err != nil {
		return err
	}
	f := rotation{
		credential: h.credential(t, s, *rec, uses, nil), Action: h.at(s, rec.ID, "rotate"), Problems: problems, Values: values,
		Overlaps: options(t, overlaps, values.Get(fieldOverlap)), UsesKept: uses != nil, Itself: rec.ID == p.LastingID(),
		Once: h.once.mark(), Revision: versionText(rec),
	}
	if s.kind == keys.KindClient {
		f.Overlaps = f.Overlaps[:len(f.Overlaps)-1] // a client's old secret cannot stay good without an end
	}
	f.Ends = append([]option{{untilAsIs, t.T("After the same time as the old one"), values.Get(fieldExpires) == untilAsIs}},
		options(t, lifetimes, values.Get(fieldExpires))...)
	f.Ends = append(f.Ends, option{untilDate, t.T("On a day that I choose"), values.Get(fieldExpires) == untilDate},
		option{untilNever, t.T("Never"), values.Get(fieldExpires) == untilNever})
	h.write(w, r, status, view{texts: t, Section: s, Title: t.T(s.Rotate), Template: "rotate", Content: &f})
	return nil
}

// rotate replaces a key or a client's secret, and shows the new one in the answer, once.
func (h *Handler) rotate(s *section) action {
	return func(w http.ResponseWriter, r *http.Request, p keys.Principal) error {
		values, err := readForm(w, r, fieldOverlap, fieldExpires, fieldUntil, fieldOnce, fieldVersion)
		if err != nil {
			return err
		}
		version, err := versionOf(values)
		if err != nil {
			return err
		}
		t := h.texts(r.Context())
		how, wrong := readRotation(t, s, values)
		// The mark is checked before the version. After a reload both are out of date,
		// and the page must not say that somebody else has changed the record.
		if wrong == nil {
			if done, err := h.spend(w, r, s, p.Org, values); done || err != nil {
				return err
			}
		}
		rec, err := h.rotatable(r.Context(), t, s, p.Org, r.PathValue("id"))
		if err != nil {
			return err
		}
		if wrong != nil {
			return h.writeRotation(w, r, s, p, http.StatusUnprocessableEntity, &rec, values, []problem{*wrong})
		}
		if rec.Version != version {
			text := t.T("Somebody else, or you in another tab, changed it in the meantime. Look at it before you replace it.")
			return h.writeRotation(w, r, s, p, http.StatusConflict, &rec, values, []problem{{"", text}})
		}
		made, err := h.rotateNow(r.Context(), p, s, rec.ID, how)
		if err = h.settled(r, made, err); err == nil {
			h.writeIssued(w, r, s, made, true)
			return nil
		}
		why, status, ok := t.problemOf(err)
		if !ok {
			return err
		}
		if errors.Is(err, keys.ErrBeyond) { // a rotation needs all that the old credential has
			why, status = problem{"", t.T("It has rights that you do not have. Ask somebody who has them.")}, http.StatusForbidden
		}
		return h.writeRotation(w, r, s, p, status, &rec, values, []problem{why})
	}
}

func (h *Handler) rotateNow(ctx context.Context, p keys.Principal, s *section, id string, how keys.Rotation) (keys.Issued, error) {
	if s.kind == keys.KindClient {
		return h.manager.As(p).RotateSecret(ctx, id, how.Overlap)
	}
	return h.manager.As(p).Rotate(ctx, id, how)
}

// readRotation reads how something is rotated.
func readRotation(t texts, s *section, values url.Values) (how keys.Rotation, wrong *problem) {
	overlap, ok := spanOf(overlaps, values.Get(fieldOverlap))
	if !ok || overlap == keys.Forever && s.kind == keys.KindClient {
		return how, &problem{fieldOverlap, t.T("Choose one of these.")}
	}
	lifetime, wrong := readLifetime(t, values)
	if lifetime != nil {
		how.Lifetime = *lifetime
	}
	how.Overlap = overlap
	return how, wrong
}
