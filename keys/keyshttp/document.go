package keyshttp

import (
	"context"
	"net/http"
	"strings"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
)

// A document is an API key as answers show it. All members but the first and
// the last two are always there; expires_at is null if the key does not expire.
type document struct {
	Key       string     `json:"key,omitempty"` // in the answer that makes the key, never again
	KeyID     string     `json:"key_id"`
	Org       string     `json:"org"`
	Label     string     `json:"label"`
	Scopes    scopes.Set `json:"scopes"`
	RateLimit int        `json:"rate_limit_per_minute"`
	CreatedAt string     `json:"created_at"`
	ExpiresAt *string    `json:"expires_at"`
	RevokedAt string     `json:"revoked_at,omitempty"` // if it is revoked
	// LastUsed is there if the key is known to have been used: in a store that
	// keeps that, up to the host's interval late.
	LastUsed string `json:"last_used_at,omitempty"`
}

// document returns a key as answers show it, with its last use.
func (h *Handler) document(ctx context.Context, rec keys.Record) (document, error) {
	docs := []document{documentOf(rec)}
	err := h.addUses(ctx, docs)
	return docs[0], err
}

// addUses adds the last uses of keys to their documents.
func (h *Handler) addUses(ctx context.Context, docs []document) error {
	ids := make([]string, len(docs))
	for i := range docs {
		ids[i] = docs[i].KeyID
	}
	uses, err := h.manager.LastUses(ctx, ids...)
	for i := range docs {
		if last, ok := uses[docs[i].KeyID]; ok {
			docs[i].LastUsed = timestamp(last)
		}
	}
	return err
}

func documentOf(rec keys.Record) document {
	d := document{
		KeyID: rec.ID, Org: rec.Org, Label: rec.Label, Scopes: rec.Scopes, RateLimit: rec.RateLimit,
		CreatedAt: timestamp(rec.CreatedAt),
	}
	if !rec.ExpiresAt.IsZero() {
		expires := timestamp(rec.ExpiresAt)
		d.ExpiresAt = &expires
	}
	if rec.Revoked() {
		d.RevokedAt = timestamp(rec.RevokedAt)
	}
	return d
}

// writeIssued answers with a new key, which is under the given collection. It
// is the one place where the package reveals a secret.
func writeIssued(w http.ResponseWriter, collection string, issued keys.Issued) {
	d := documentOf(issued.Record)
	d.Key = issued.Text.Reveal()
	// One leading slash, so that the location is a path of this host.
	w.Header().Set("Location", strings.TrimRight("/"+strings.Trim(collection, "/"), "/")+"/"+d.KeyID)
	w.Header().Set("Pragma", "no-cache")
	WriteJSON(w, http.StatusCreated, d)
}
