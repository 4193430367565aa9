package keyshttp

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// maxSeconds bounds the life time of keys and overlaps: ten years of 365 days.
const maxSeconds = 10 * 365 * 24 * 60 * 60

// Create makes a key. The body, which may be missing, is
//
//	{"label"?: text, "scopes"?: [names], "environment"?: word,
//	 "expires_in"?: seconds, "rate_limit_per_minute"?: n}
//
// Without scopes the key holds the always-granted ones alone; without
// rate_limit_per_minute it has the Manager's default or the caller's own
// limit, whichever is less. expires_in is from 1 to 315360000 (ten years of
// 365 days); without it the key does not expire.
//
// The answer is 201 with the key's Location, and the only one that shows the
// key itself:
//
//	{"key", "key_id", "org", "label", "scopes", "rate_limit_per_minute",
//	 "created_at", "expires_at"}
//
// where expires_at is null if the key does not expire. Besides the errors of
// [ReadJSON] there are 403 for scopes beyond the caller's, and 422 for scopes
// that cannot be granted and for other values out of their bounds.
func (h *Handler) Create(w http.ResponseWriter, r *http.Request) {
	p, ok := caller(w, r)
	if !ok {
		return
	}
	spec, err := h.readSpec(w, r, p)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	issued, err := h.manager.Create(r.Context(), p.Org, spec)
	if err == nil {
		err = h.takeBack(r.Context(), p, issued)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	writeIssued(w, r.URL.EscapedPath(), issued)
}

// takeBack revokes a new key whose maker's credential has ended meanwhile. Its
// secret was not shown yet, so it is good for nothing even if this fails.
func (h *Handler) takeBack(ctx context.Context, p keys.Principal, issued keys.Issued) error {
	err := Recheck(ctx, h.manager, p)
	if err != nil {
		err = errors.Join(err, h.manager.Revoke(context.WithoutCancel(ctx), p.Org, issued.Record.ID))
	}
	return err
}

// readSpec reads the body of a request to create a key. Labels are for the
// Manager to check.
func (h *Handler) readSpec(w http.ResponseWriter, r *http.Request, p keys.Principal) (spec keys.Spec, err error) {
	var label, environment *string
	var names *[]string
	var expiresIn, rateLimit *int64
	err = ReadJSON(w, r, h.maxBody,
		Optional("label", &label), Optional("scopes", &names), Optional("environment", &environment),
		Optional("expires_in", &expiresIn), Optional("rate_limit_per_minute", &rateLimit))
	if err != nil {
		return spec, err
	}
	if names != nil {
		spec.Scopes = *names
	}
	if _, err = h.granted(p, spec.Scopes); err != nil {
		return spec, err
	}
	if label != nil {
		spec.Label = *label
	}
	if environment != nil {
		// The Manager refuses unknown ones, but to it "" means the default.
		if spec.Environment = *environment; spec.Environment == "" {
			return spec, invalidValue("environment is empty")
		}
	}
	if spec.RateLimit, err = h.rateLimit(p, rateLimit); err != nil {
		return spec, err
	}
	if expiresIn != nil {
		if *expiresIn < 1 || *expiresIn > maxSeconds {
			return spec, invalidValue("expires_in is not from 1 to 315360000 seconds")
		}
		spec.Lifetime = time.Duration(*expiresIn) * time.Second
	}
	return spec, nil
}

// rateLimit returns the limit of a new key of p: the one asked for, or else
// the default, as far as p's own limit allows.
func (h *Handler) rateLimit(p keys.Principal, asked *int64) (int, error) {
	switch {
	case asked != nil:
		return checkRateLimit(p, *asked)
	case p.RateLimit < 1:
		return 0, insufficientScope("the caller has no rate limit to hand on")
	}
	return min(h.manager.RateLimit(), p.RateLimit), nil
}

// checkRateLimit returns limit if p can hand it on.
func checkRateLimit(p keys.Principal, limit int64) (int, error) {
	if limit < 1 || limit > int64(p.RateLimit) {
		return 0, invalidValue("rate_limit_per_minute is not from 1 to the limit of the caller")
	}
	return int(limit), nil
}
