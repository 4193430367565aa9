package keyshttp

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
)

// maxSeconds bounds the lifetime of keys and overlaps: ten years of 365 days.
const maxSeconds = 10 * 365 * 24 * 60 * 60

// A body has the members that bodies may have. Members that are absent are nil.
type body struct {
	label       *string
	scopes      *[]string
	environment *string
	expiresIn   *int64
	rateLimit   *int64
	networks    *[]string
	metadata    *json.RawMessage
	disabled    *bool
	overlap     *int64
}

// values returns the members that have the same meaning for a new key and for one
// that is changed: the limit, the networks, the metadata and the lifetime.
func (b *body) values() (c keys.Change, err error) {
	if b.rateLimit != nil {
		if *b.rateLimit < 1 || *b.rateLimit > keys.MaxRateLimit {
			return c, &keys.BeyondError{Field: keys.FieldRateLimit}
		}
		c.RateLimit = new(int(*b.rateLimit))
	}
	if b.networks != nil {
		networks, err := keys.NetworksFromStrings(*b.networks...)
		if err != nil {
			return c, err
		}
		c.Networks = &networks
	}
	if b.metadata != nil {
		c.Metadata = new(string(*b.metadata))
		if *c.Metadata == "{}" {
			*c.Metadata = ""
		}
	}
	c.Lifetime, err = seconds("expires_in", b.expiresIn, 1)
	return c, err
}

// seconds returns the duration that a member stands for, or nil if it is absent.
func seconds(name string, n *int64, least int64) (*time.Duration, error) {
	if n == nil {
		return nil, nil
	}
	if *n < least || *n > maxSeconds {
		return nil, &httpjson.Refusal{
			Status: http.StatusUnprocessableEntity, Code: "invalid_value",
			Description: fmt.Sprintf("%s is not from %d to %d seconds", name, least, maxSeconds),
		}
	}
	return new(time.Duration(*n) * time.Second), nil
}

// create makes a key.
func (h *Handler) create(w http.ResponseWriter, r *http.Request, p keys.Principal) error {
	spec, err := h.readSpec(w, r, p)
	if err != nil {
		return err
	}
	issued, err := h.manager.As(p).Create(r.Context(), spec)
	if more := (*keys.BeyondError)(nil); errors.As(err, &more) && more.Field == keys.FieldRateLimit && spec.RateLimit == 0 {
		err = insufficient("the caller has no rate limit to hand on", err)
	}
	if err != nil {
		return err
	}
	h.writeIssued(w, r, r.URL.EscapedPath(), issued)
	return nil
}

// readSpec reads the body of a request to make a key.
func (h *Handler) readSpec(w http.ResponseWriter, r *http.Request, p keys.Principal) (spec keys.Spec, err error) {
	var b body
	if _, err := httpjson.ReadQuery(r); err != nil {
		return spec, err
	}
	err = httpjson.Read(w, r, h.maxBody,
		httpjson.Optional("label", &b.label), httpjson.Optional("scopes", &b.scopes), httpjson.Optional("environment", &b.environment),
		httpjson.Optional("expires_in", &b.expiresIn), httpjson.Optional("rate_limit_per_minute", &b.rateLimit),
		httpjson.Optional("networks", &b.networks), httpjson.Optional("metadata", &b.metadata))
	if err != nil {
		return spec, err
	}
	c, err := b.values()
	if err != nil {
		return spec, err
	}
	if spec.Environment = or(b.environment, ""); b.environment != nil && spec.Environment == "" {
		return spec, &keys.InvalidError{Field: keys.FieldEnvironment, Reason: "is empty"}
	}
	if c.Networks != nil && !p.Networks.Covers(*c.Networks) {
		return spec, &keys.BeyondError{Field: keys.FieldNetworks} // an Actor would take an empty set for the caller's
	}
	spec.Label, spec.Scopes, spec.RateLimit = or(b.label, ""), or(b.scopes, nil), or(c.RateLimit, 0)
	spec.Networks, spec.Metadata, spec.Lifetime = or(c.Networks, keys.Networks{}), or(c.Metadata, ""), or(c.Lifetime, 0)
	return spec, nil
}

// or returns what p points to, or def if it points to nothing.
func or[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}

// change changes a key.
func (h *Handler) change(w http.ResponseWriter, r *http.Request, p keys.Principal) error {
	var b body
	if _, err := httpjson.ReadQuery(r); err != nil {
		return err
	}
	err := httpjson.Read(w, r, h.maxBody,
		httpjson.Optional("label", &b.label), httpjson.Optional("scopes", &b.scopes), httpjson.Optional("expires_in", &b.expiresIn),
		httpjson.Optional("rate_limit_per_minute", &b.rateLimit), httpjson.Optional("networks", &b.networks),
		httpjson.Optional("metadata", &b.metadata), httpjson.Optional("disabled", &b.disabled))
	if err != nil {
		return err
	}
	c, err := b.values()
	if err != nil {
		return err
	}
	c.Label, c.Scopes, c.Disabled = b.label, b.scopes, b.disabled
	rec, err := h.manager.As(p).Change(r.Context(), keys.KindKey, r.PathValue("id"), c)
	if err != nil {
		if b.disabled != nil && !*b.disabled && errors.Is(err, keys.ErrBeyond) {
			err = insufficient(moreThanCaller, err)
		}
		return err
	}
	d, err := h.document(r.Context(), rec)
	if err != nil {
		return err
	}
	httpjson.Write(w, http.StatusOK, d)
	return nil
}

// rotate makes the successor of a key.
func (h *Handler) rotate(w http.ResponseWriter, r *http.Request, p keys.Principal) error {
	var b body
	if _, err := httpjson.ReadQuery(r); err != nil {
		return err
	}
	err := httpjson.Read(w, r, h.maxBody, httpjson.Optional("overlap", &b.overlap), httpjson.Optional("expires_in", &b.expiresIn))
	if err != nil {
		return err
	}
	overlap, err := seconds("overlap", b.overlap, 0)
	if err != nil {
		return err
	}
	lifetime, err := seconds("expires_in", b.expiresIn, 1)
	if err != nil {
		return err
	}
	issued, err := h.manager.As(p).Rotate(r.Context(), r.PathValue("id"),
		keys.Rotation{Overlap: or(overlap, keys.Forever), Lifetime: or(lifetime, 0)})
	switch {
	case errors.Is(err, keys.ErrUnsettled) && issued.Record.ID != "":
		h.log(r, err) // the new key is good, and the old one may have ended for it
	case errors.Is(err, keys.ErrBeyond):
		return insufficient(moreThanCaller, err)
	case err != nil:
		return err
	}
	h.writeIssued(w, r, path.Dir(path.Dir(r.URL.EscapedPath())), issued)
	return nil
}

// revoke ends a key, and if the query says so all that descends from it.
func (h *Handler) revoke(w http.ResponseWriter, r *http.Request, p keys.Principal) error {
	descendants, err := httpjson.ReadBool(r, "descendants")
	if err != nil {
		return err
	}
	actor, id := h.manager.As(p), r.PathValue("id")
	if descendants {
		_, err = actor.RevokeDescendants(r.Context(), keys.KindKey, id)
	} else {
		err = actor.Revoke(r.Context(), keys.KindKey, id)
	}
	if err != nil {
		return err
	}
	httpjson.WriteNothing(w)
	return nil
}

// moreThanCaller describes the refusal of a request that needs all that a key has.
const moreThanCaller = "the key has more than the caller has"

// insufficient returns a refusal with the code insufficient_scope.
func insufficient(description string, err error) error {
	return &httpjson.Refusal{Status: http.StatusForbidden, Code: "insufficient_scope", Description: description, Err: err}
}
