package keyshttp

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/claviger-auth/claviger/keys"
)

// Bounds on the length of a list.
const (
	defaultPage = 100
	maxPage     = 200
)

// List answers 200 with the organization's keys, in ascending byte order of
// their IDs, expired ones included:
//
//	{"keys": [keys as Get shows them], "next_cursor"?: text}
//
// Query parameters, all optional: limit is the length of the list, from 1 to
// 200, and 100 if absent; cursor is the next_cursor of the list before;
// include=revoked lists revoked keys too. next_cursor is there if and only if
// there is at least one more key to list. Other parameters are ignored; those
// with other values are answered 422, and repeated ones 400.
func (h *Handler) List(w http.ResponseWriter, r *http.Request) {
	p, ok := caller(w, r)
	if !ok {
		return
	}
	page, err := ReadPage(r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	list := keyList{Keys: []document{}} // never null
	for rec, err := range h.manager.List(r.Context(), p.Org, keys.KindKey, page.After) {
		if err == nil && (rec.Org != p.Org || rec.Kind != keys.KindKey) {
			err = keys.ErrCorrupt // a store's mistake must not show what is not p's
		}
		if err != nil {
			h.fail(w, r, err)
			return
		}
		if rec.Revoked() && !page.Revoked {
			continue
		}
		if len(list.Keys) == page.Limit {
			list.NextCursor = Cursor(list.Keys[page.Limit-1].KeyID)
			break
		}
		list.Keys = append(list.Keys, documentOf(rec))
	}
	if err := h.addUses(r.Context(), list.Keys); err != nil {
		h.fail(w, r, err)
		return
	}
	WriteJSON(w, http.StatusOK, list)
}

type keyList struct {
	Keys       []document `json:"keys"`
	NextCursor string     `json:"next_cursor,omitempty"`
}

// A Page says which part of a list a request asks for.
type Page struct {
	After   string // only IDs that come after this one; "" for all
	Limit   int    // at most so many, from 1 to 200
	Revoked bool   // revoked ones too
}

// ReadPage reads the query parameters limit, cursor and include of a request for
// a list, as [Handler.List] describes them. The error is an [*Error], ready for
// [WriteError].
func ReadPage(r *http.Request) (Page, error) {
	pg := Page{Limit: defaultPage}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return pg, invalidRequest("the query is malformed")
	}
	for _, name := range []string{"limit", "cursor", "include"} {
		values := query[name]
		if len(values) > 1 {
			return pg, invalidRequest(name + " is there twice")
		}
		if len(values) == 1 && !pg.set(name, values[0]) {
			return pg, invalidValue(name + " is not valid here")
		}
	}
	return pg, nil
}

// set sets a parameter and reports whether its value is a good one.
func (pg *Page) set(name, value string) (ok bool) {
	switch name {
	case "limit":
		n, err := strconv.ParseUint(value, 10, 16)
		pg.Limit = int(n)
		return err == nil && n >= 1 && n <= maxPage
	case "cursor":
		pg.After, ok = parseCursor(value)
		return ok
	default:
		pg.Revoked = true
		return value == "revoked"
	}
}

// cursorVersion marks cursors, so that their meaning can change one day
// without old ones being taken for new.
const cursorVersion = "1:"

var cursorEncoding = base64.RawURLEncoding

// Cursor returns the opaque text for the position after an ID, which [ReadPage]
// reads. It holds nothing that its reader was not shown.
func Cursor(lastID string) string {
	return cursorEncoding.EncodeToString([]byte(cursorVersion + lastID))
}

// parseCursor returns the ID in a text that Cursor returned.
func parseCursor(text string) (lastID string, ok bool) {
	data, err := cursorEncoding.DecodeString(text)
	id, ok := strings.CutPrefix(string(data), cursorVersion)
	// The decoder passes over line breaks and loose bits; cursors have none.
	return id, err == nil && ok && possibleID(id) && Cursor(id) == text
}
