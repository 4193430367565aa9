package keyshttp

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/scopes"
)

// A document is an API key as answers show it. The members from key_id to
// expires_at are always there; expires_at is null if the key does not expire.
type document struct {
	Key         string          `json:"key,omitempty"` // in the answer that makes the key, never again
	KeyID       string          `json:"key_id"`
	Org         string          `json:"org"`
	Label       string          `json:"label"`
	Scopes      scopes.Set      `json:"scopes"`
	RateLimit   int             `json:"rate_limit_per_minute"`
	CreatedAt   string          `json:"created_at"`
	ExpiresAt   *string         `json:"expires_at"`
	RevokedAt   string          `json:"revoked_at,omitempty"`
	LastUsed    string          `json:"last_used_at,omitempty"` // if the key is known to have been used
	Environment string          `json:"environment,omitempty"`
	CreatedBy   string          `json:"created_by,omitempty"`
	Replaces    string          `json:"replaces,omitempty"`
	ReplacedBy  string          `json:"replaced_by,omitempty"`
	DisabledAt  string          `json:"disabled_at,omitempty"`
	Networks    []string        `json:"networks,omitempty"`
	Metadata    json.RawMessage `json:"metadata,omitempty"` // not in lists

	// The last uses of the keys in Replaces and ReplacedBy. They tell whether the old
	// key of a rotation is still used.
	ReplacesLastUsed   string `json:"replaces_last_used_at,omitempty"`
	ReplacedByLastUsed string `json:"replaced_by_last_used_at,omitempty"`
}

// document returns a key as answers show it, without its last use. If the plan fails,
// it returns the error and a document with the limit of the record.
func (h *Handler) document(ctx context.Context, rec keys.Record) (document, error) {
	limit, err := h.manager.RateLimit(ctx, rec)
	if err != nil {
		limit = rec.RateLimit
	}
	d := document{
		KeyID: rec.ID, Org: rec.Org, Label: rec.Label, Scopes: rec.Scopes, RateLimit: limit,
		CreatedAt: httpjson.Timestamp(rec.CreatedAt), RevokedAt: httpjson.Timestamp(rec.RevokedAt), DisabledAt: httpjson.Timestamp(rec.DisabledAt),
		Environment: rec.Environment, CreatedBy: rec.CreatedBy, Replaces: rec.Replaces, ReplacedBy: rec.ReplacedBy,
		Networks: rec.Networks.Strings(),
	}
	if !rec.ExpiresAt.IsZero() {
		d.ExpiresAt = new(httpjson.Timestamp(rec.ExpiresAt))
	}
	// The host may keep other text as metadata.
	if text := []byte(rec.Metadata); strings.HasPrefix(rec.Metadata, "{") && json.Valid(text) {
		d.Metadata = text
	}
	return d, err
}

// documents returns keys as answers show them, with their last uses and those of
// the keys before and after them.
func (h *Handler) documents(ctx context.Context, records []keys.Record) ([]document, error) {
	ids := make([]string, 0, len(records))
	for i := range records {
		for _, id := range []string{records[i].ID, records[i].Replaces, records[i].ReplacedBy} {
			if id != "" {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	uses, err := h.manager.LastUses(ctx, ids...)
	if err != nil {
		return nil, err
	}
	docs := make([]document, len(records)) // never null
	for i, rec := range records {
		if docs[i], err = h.document(ctx, rec); err != nil {
			return nil, err
		}
		docs[i].LastUsed = httpjson.Timestamp(uses[rec.ID])
		docs[i].ReplacesLastUsed, docs[i].ReplacedByLastUsed = httpjson.Timestamp(uses[rec.Replaces]), httpjson.Timestamp(uses[rec.ReplacedBy])
	}
	return docs, nil
}

// writeIssued answers with a new key in the collection at the given path. No other code
// of the package reveals a secret. The key is good, and an old one may have ended for
// it, so the caller gets the key even if the plan fails.
func (h *Handler) writeIssued(w http.ResponseWriter, r *http.Request, collection string, issued keys.Issued) {
	d, err := h.document(r.Context(), issued.Record)
	if err != nil {
		h.log(r, err)
	}
	d.Key = issued.Text.Reveal()
	// With exactly one leading slash, the location is a path of this host.
	w.Header().Set("Location", strings.TrimRight("/"+strings.Trim(collection, "/"), "/")+"/"+d.KeyID)
	w.Header().Set("Pragma", "no-cache")
	httpjson.Write(w, http.StatusCreated, d)
}
