package keyshttp

import (
	"net/http"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
)

// get answers with one key.
func (h *Handler) get(w http.ResponseWriter, r *http.Request, p keys.Principal) error {
	if _, err := httpjson.ReadQuery(r); err != nil {
		return err
	}
	rec, err := h.manager.Get(r.Context(), p.Org, keys.KindKey, r.PathValue("id"))
	if err != nil {
		return err
	}
	docs, err := h.documents(r.Context(), []keys.Record{rec})
	if err != nil {
		return err
	}
	httpjson.Write(w, http.StatusOK, docs[0])
	return nil
}

// list answers with a page of keys. It reads one key more, to know whether there is
// another page.
func (h *Handler) list(w http.ResponseWriter, r *http.Request, p keys.Principal) error {
	page, err := httpjson.ReadPage(r)
	if err != nil {
		return err
	}
	found, next, err := h.page(r, keys.Query{Org: p.Org, Kind: keys.KindKey, After: page.After, Limit: page.Limit + 1, Live: page.Live})
	if err != nil {
		return err
	}
	docs, err := h.documents(r.Context(), found)
	if err != nil {
		return err
	}
	for i := range docs {
		docs[i].Metadata = nil
	}
	httpjson.Write(w, http.StatusOK, struct {
		Keys       []document `json:"keys"`
		NextCursor string     `json:"next_cursor,omitempty"`
	}{docs, next})
	return nil
}

// page returns the first q.Limit-1 records that q asks for. If there are more, it also
// returns the cursor of the next page.
func (h *Handler) page(r *http.Request, q keys.Query) (found []keys.Record, next string, err error) {
	for rec, err := range h.manager.List(r.Context(), q) {
		if err != nil {
			return nil, "", err
		}
		if len(found) == q.Limit-1 {
			return found, httpjson.Cursor(found[len(found)-1].ID), nil
		}
		found = append(found, rec)
	}
	return found, "", nil
}
