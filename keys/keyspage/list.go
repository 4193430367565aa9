package keyspage

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

const (
	windowSize = 1000 // how many records are searched and sorted together
	pageSize   = 50   // how many of them one page shows
	maxSearch  = 200  // how long a search may be, in bytes
	maxWord    = 40   // how long a word of a search may be before searchable cuts it, in bytes
)

// A listing is what a list shows.
type listing struct {
	*section
	Query    listQuery
	Rows     []credential
	UsesKept bool
	Found    int // in all pages
	Any      bool
	Page     int
	Pages    int
	Orders   []option

	ListURL, NewURL, SearchURL string
	Before, After              string // URLs of the pages beside this one
	Next                       string // URL of the records after those that were read
	More                       bool   // there are records that were not read
}

// A listQuery says what a list shows.
type listQuery struct {
	Search  string
	Order   string
	Revoked bool
	after   string // the ID after which the list begins; empty for the first part
	page    int
}

func readListQuery(values url.Values) listQuery {
	q := listQuery{
		Search: searchable(values.Get("q")), Order: values.Get("order"), Revoked: values.Get("revoked") != "",
		after: values.Get("after"),
	}
	q.page, _ = strconv.Atoi(values.Get("page"))
	if _, ok := orders[q.Order]; !ok {
		q.Order = orderNames[0]
	}
	return q
}

// searchable returns a search without what may be a secret. Somebody who wants to know
// whose key has leaked may search for the whole key, and the search goes into a URL. Of a
// long word, searchable keeps what stands before the first dot, which is the ID of a key.
// Of a long word without a dot it keeps as much as the ID of a token has.
func searchable(text string) string {
	words := strings.Fields(strings.ToValidUTF8(text, ""))
	for i, word := range words {
		if len(word) <= maxWord {
			continue
		}
		id, _, dotted := strings.Cut(word, ".")
		if !dotted || len(id) > maxSearch/2 {
			id = strings.ToValidUTF8(word[:maxWord*3/4], "")
		}
		words[i] = id
	}
	text = strings.Join(words, " ")
	return strings.ToValidUTF8(text[:min(len(text), maxSearch)], "")
}

// values returns the query of a URL that asks for the same list, from its first
// page on.
func (q *listQuery) values() url.Values {
	values := make(url.Values)
	if q.Search != "" {
		values.Set("q", q.Search)
	}
	if q.Order != orderNames[0] {
		values.Set("order", q.Order)
	}
	if q.Revoked {
		values.Set("revoked", "1")
	}
	return values
}

// url returns the URL of a page of the same list.
func (q *listQuery) url(path, after string, page int) string {
	values := q.values()
	if after != "" {
		values.Set("after", after)
	}
	if page > 1 {
		values.Set("page", strconv.Itoa(page))
	}
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}

// An ordering compares two records, given when they were last used.
type ordering struct {
	text    string
	compare func(a, b *keys.Record, uses map[string]time.Time) int
}

var orderNames = []string{"newest", "oldest", "name", "used", "ends"}

var orders = map[string]ordering{
	"newest": {n("Newest first"), func(a, b *keys.Record, _ map[string]time.Time) int { return b.CreatedAt.Compare(a.CreatedAt) }},
	"oldest": {n("Oldest first"), func(a, b *keys.Record, _ map[string]time.Time) int { return a.CreatedAt.Compare(b.CreatedAt) }},
	"name": {n("Name"), func(a, b *keys.Record, _ map[string]time.Time) int {
		return cmp.Or(cmp.Compare(boolInt(a.Label == ""), boolInt(b.Label == "")), strings.Compare(strings.ToLower(a.Label), strings.ToLower(b.Label)))
	}},
	"used": {n("Last used"), func(a, b *keys.Record, uses map[string]time.Time) int { return uses[b.ID].Compare(uses[a.ID]) }},
	"ends": {n("Ends soonest"), func(a, b *keys.Record, _ map[string]time.Time) int {
		return cmp.Or(cmp.Compare(boolInt(a.Ends().IsZero()), boolInt(b.Ends().IsZero())), a.Ends().Compare(b.Ends()))
	}},
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// search redirects to the list with the result of a search. The form is sent with POST,
// so that only what searchable keeps goes into a URL.
func (h *Handler) search(s *section) action {
	return func(w http.ResponseWriter, r *http.Request, _ keys.Principal) error {
		values, err := readForm(w, r, "q", "order", "revoked")
		if err != nil {
			return err
		}
		q := readListQuery(values)
		h.redirect(w, r, q.url(h.at(s), "", 1))
		return nil
	}
}

// list shows the credentials of a section.
func (h *Handler) list(s *section) action {
	return func(w http.ResponseWriter, r *http.Request, p keys.Principal) error {
		q := readListQuery(r.URL.Query())
		t := h.texts(r.Context())
		l, err := h.listing(r.Context(), t, s, p.Org, q)
		if err != nil {
			return err
		}
		h.write(w, r, http.StatusOK, view{texts: t, Section: s, Title: t.T(s.Plural), Template: "list", Content: &l})
		return nil
	}
}

func (h *Handler) listing(ctx context.Context, t texts, s *section, org string, q listQuery) (l listing, err error) {
	l = listing{section: s, Query: q, More: q.after != "", ListURL: h.at(s), NewURL: h.newURL(s), SearchURL: h.searchURL(s)}
	for _, name := range orderNames {
		l.Orders = append(l.Orders, option{name, t.T(orders[name].text), name == q.Order})
	}
	if q.after != "" && !keys.PossibleID(q.after) {
		return l, malformed
	}
	query := keys.Query{Org: org, Kind: s.kind, After: q.after, Limit: windowSize + 1, Live: !q.Revoked}
	records, names, next, err := h.window(ctx, query)
	if err != nil {
		return l, err
	}
	l.Any, l.More = len(records) > 0, l.More || next != ""
	uses, err := h.manager.LastUses(ctx, ids(records)...)
	if err != nil {
		return l, err
	}
	l.UsesKept = uses != nil
	records = slices.DeleteFunc(records, func(rec keys.Record) bool { return !q.matches(&rec, names) })
	slices.SortStableFunc(records, func(a, b keys.Record) int { return orders[q.Order].compare(&a, &b, uses) })
	l.Found, l.Pages = len(records), max(1, (len(records)+pageSize-1)/pageSize)
	l.Page = min(max(q.page, 1), l.Pages)
	records = records[(l.Page-1)*pageSize : min(l.Page*pageSize, len(records))]
	for _, rec := range records {
		l.Rows = append(l.Rows, h.credential(t, s, rec, uses, names))
	}
	path := h.at(s)
	if l.Page > 1 {
		l.Before = q.url(path, q.after, l.Page-1)
	}
	if l.Page < l.Pages {
		l.After = q.url(path, q.after, l.Page+1)
	}
	if next != "" {
		l.Next = q.url(path, next, 1)
	}
	return l, nil
}

// window reads as many records as are searched and sorted together. It also returns
// their labels by ID, and the ID of the last one if there are more records.
func (h *Handler) window(ctx context.Context, q keys.Query) (records []keys.Record, names map[string]string, next string, err error) {
	names = make(map[string]string)
	for rec, err := range h.manager.List(ctx, q) {
		if err != nil {
			return nil, nil, "", err
		}
		if len(records) == windowSize {
			return records, names, records[windowSize-1].ID, nil
		}
		records = append(records, rec)
		names[rec.ID] = rec.Label
	}
	return records, names, "", nil
}

func ids(records []keys.Record) []string {
	all := make([]string, len(records))
	for i := range records {
		all[i] = records[i].ID
	}
	return all
}

// matches reports whether each word of the search is in the name, the ID, the
// maker, the environment or a scope of a record.
func (q *listQuery) matches(rec *keys.Record, names map[string]string) bool {
	if q.Search == "" {
		return true
	}
	text := strings.ToLower(strings.Join([]string{
		rec.Label, rec.ID, rec.CreatedBy, names[rec.CreatedBy], rec.Environment, rec.Scopes.String(),
	}, "\n"))
	for word := range strings.FieldsSeq(strings.ToLower(q.Search)) {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}
