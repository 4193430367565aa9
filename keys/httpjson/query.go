package httpjson

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/claviger-auth/claviger/keys"
)

// Bounds on the length of a list.
const (
	defaultPage = 100
	maxPage     = 200
)

// ReadQuery returns the query parameters of a request. Each must be one of the names,
// and be there at most once. A handler without parameters gives no names. The error is
// a [*Refusal], ready for [Refuse]: 400 invalid_request.
func ReadQuery(r *http.Request, names ...string) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, invalidRequest("the query is malformed")
	}
	for name := range query {
		if !slices.Contains(names, name) {
			return nil, invalidRequest("the query has a parameter that is not known here")
		}
	}
	for _, name := range names {
		if len(query[name]) > 1 {
			return nil, invalidRequest(name + " is there twice")
		}
	}
	return query, nil
}

// A Page says which part of a list a request asks for. Its fields are those of
// a [keys.Query].
type Page struct {
	After string // only IDs after this one, in byte order; "" for all
	Limit int    // the length of the list, from 1 to 200
	Live  bool   // revoked credentials are left out
}

// ReadPage reads the query of a request for a list. The parameters, all
// optional, are:
//
//   - limit: the length of the list, from 1 to 200, and 100 if absent;
//   - cursor: what [Cursor] returned for the list before;
//   - include=revoked: revoked credentials are listed too.
//
// The error is a [*Refusal], ready for [Refuse]: 422 invalid_value for other values, and
// 400 invalid_request as [ReadQuery] says.
func ReadPage(r *http.Request) (Page, error) {
	page := Page{Limit: defaultPage, Live: true}
	query, err := ReadQuery(r, "limit", "cursor", "include")
	if err != nil {
		return Page{}, err
	}
	if query.Has("limit") {
		n, err := strconv.ParseUint(query.Get("limit"), 10, 16)
		if err != nil || n < 1 || n > maxPage {
			return Page{}, invalidValue(fmt.Sprintf("limit is not a number from 1 to %d", maxPage))
		}
		page.Limit = int(n)
	}
	if query.Has("cursor") {
		after, ok := parseCursor(query.Get("cursor"))
		if !ok {
			return Page{}, invalidValue("cursor is not from an earlier list")
		}
		page.After = after
	}
	if query.Has("include") {
		if query.Get("include") != "revoked" {
			return Page{}, invalidValue("include is not revoked")
		}
		page.Live = false
	}
	return page, nil
}

// cursorVersion begins every cursor, so that a later release with other cursors can
// tell them apart.
const cursorVersion = "1:"

var cursorEncoding = base64.RawURLEncoding

// Cursor returns opaque text for the position after an ID, which [ReadPage] reads.
// [keys.PossibleID] must be true for the ID. The text encodes the ID and nothing else.
func Cursor(lastID string) string {
	return cursorEncoding.EncodeToString([]byte(cursorVersion + lastID))
}

// parseCursor returns the ID in a text that Cursor returned.
func parseCursor(text string) (lastID string, ok bool) {
	data, err := cursorEncoding.DecodeString(text)
	id, ok := strings.CutPrefix(string(data), cursorVersion)
	// The decoder ignores line breaks and unused bits, so the text is compared with
	// the cursor of the ID.
	return id, err == nil && ok && keys.PossibleID(id) && Cursor(id) == text
}

// ReadBool returns the query parameter with the given name, true or false. It returns
// false if the parameter is absent. The request may have no other parameter. The error
// is a [*Refusal], ready for [Refuse]: 422 invalid_value for another value, or that of
// [ReadQuery].
func ReadBool(r *http.Request, name string) (bool, error) {
	query, err := ReadQuery(r, name)
	if err != nil {
		return false, err
	}
	switch {
	case !query.Has(name) || query.Get(name) == "false":
		return false, nil
	case query.Get(name) == "true":
		return true, nil
	}
	return false, invalidValue(name + " is not true or false")
}
