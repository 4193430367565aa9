package keyspage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/scopes"
)

// maxForm is how long a form may be, in bytes.
const maxForm = 64 << 10

// Fields of forms. Only scopes may be there more than once.
const (
	fieldLabel       = "label"
	fieldScopes      = "scopes"
	fieldEnvironment = "environment"
	fieldExpires     = "expires"
	fieldUntil       = "until"
	fieldLimit       = "limit"
	fieldNetworks    = "networks"
	fieldMetadata    = "metadata"
	fieldOverlap     = "overlap"
	fieldFamily      = "family"
	fieldOnce        = "once"
	fieldVersion     = "version"
)

// fields are all fields of forms that change something.
var fields = []string{
	fieldLabel, fieldScopes, fieldEnvironment, fieldExpires, fieldUntil, fieldLimit, fieldNetworks, fieldMetadata,
	fieldOverlap, fieldFamily, fieldOnce, fieldVersion,
}

// readForm returns the fields of a form. The form may only have fields with the given
// names. The error is a [*httpjson.Refusal]. The query of the URL is ignored.
func readForm(w http.ResponseWriter, r *http.Request, names ...string) (url.Values, error) {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/x-www-form-urlencoded" && r.ContentLength != 0 {
		return nil, &httpjson.Refusal{Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type", Description: "the body is not a form"}
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		var long *http.MaxBytesError
		if errors.As(err, &long) {
			return nil, &httpjson.Refusal{Status: http.StatusRequestEntityTooLarge, Code: "payload_too_large", Description: "the form is too long"}
		}
		return nil, malformed
	}
	for name, values := range r.PostForm {
		if !slices.Contains(names, name) || len(values) > 1 && name != fieldScopes {
			return nil, malformed
		}
	}
	return r.PostForm, nil
}

var malformed = &httpjson.Refusal{Status: http.StatusBadRequest, Code: "invalid_request", Description: "the form is malformed"}

// An option is one of the values that a field offers.
type option struct {
	Value, Text string
	Selected    bool
}

const (
	day         = 24 * time.Hour
	maxLifetime = 10 * 365 * day // as in package keyshttp
)

// A span is a duration that a form offers.
type span struct {
	value, text string
	length      time.Duration
}

// lifetimes are the lifetimes that forms offer.
var lifetimes = []span{
	{"7d", n("In 7 days"), 7 * day},
	{"30d", n("In 30 days"), 30 * day},
	{"90d", n("In 90 days"), 90 * day},
	{"365d", n("In a year"), 365 * day},
}

// Other values of fieldExpires.
const (
	untilDate   = "date"  // the day in fieldUntil
	untilNever  = "never" // no end
	untilAsIs   = ""      // no change; in a rotation, the lifetime of the old key
	defaultLife = "90d"
)

// overlaps are the overlaps that forms offer.
var overlaps = []span{
	{"0", n("Not at all"), 0},
	{"1h", n("For an hour"), time.Hour},
	{"1d", n("For a day"), day},
	{"7d", n("For 7 days"), 7 * day},
	{"30d", n("For 30 days"), 30 * day},
	{"", n("Until I revoke it"), keys.Forever},
}

const defaultOverlap = "1d"

func options(t texts, spans []span, selected string) (all []option) {
	for _, s := range spans {
		all = append(all, option{s.value, t.T(s.text), s.value == selected})
	}
	return all
}

// spanOf returns the length of the span with a value.
func spanOf(spans []span, value string) (time.Duration, bool) {
	for _, s := range spans {
		if s.value == value {
			return s.length, true
		}
	}
	return 0, false
}

// readLifetime reads how long a credential is good. The result is nil if that stays as
// it is.
func readLifetime(t texts, values url.Values) (*time.Duration, *problem) {
	value := values.Get(fieldExpires)
	switch value {
	case untilAsIs:
		return nil, nil
	case untilNever:
		return new(keys.Forever), nil
	case untilDate:
		date, err := time.Parse(time.DateOnly, values.Get(fieldUntil))
		// The end is in the middle of the day's last minute. A lifetime counts from the
		// making of the key, which is a moment after now, or up to a millisecond before
		// it, since times in records are in whole milliseconds.
		if d := date.AddDate(0, 0, 1).Add(-30 * time.Second).Sub(t.now).Truncate(time.Millisecond); err == nil && d > 0 && d <= maxLifetime {
			return &d, nil
		}
		return nil, &problem{fieldUntil, t.T("Choose a day from today on, within the next ten years.")}
	}
	if d, ok := spanOf(lifetimes, value); ok {
		return &d, nil
	}
	return nil, &problem{fieldExpires, t.T("Choose one of these.")}
}

// readChange reads the fields that a form for a new credential and a form for a change
// have in common.
func readChange(t texts, values url.Values) (c keys.Change, problems []problem) {
	note := func(field, text string) { problems = append(problems, problem{field, text}) }
	c.Label = new(strings.TrimSpace(values.Get(fieldLabel)))
	names := append([]string{}, values[fieldScopes]...)
	c.Scopes = &names
	limit := 0
	if text := strings.TrimSpace(values.Get(fieldLimit)); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > keys.MaxRateLimit {
			note(fieldLimit, t.T("Enter a whole number, 1 or more."))
		}
		limit = n
	}
	c.RateLimit = &limit
	if networks, err := keys.NetworksFromStrings(lines(values.Get(fieldNetworks))...); err == nil {
		c.Networks = &networks
	} else {
		note(fieldNetworks, t.T("Enter one network or address on each line, such as 203.0.113.0/24, and at most 100."))
	}
	if metadata, ok := compact(values.Get(fieldMetadata)); ok {
		c.Metadata = &metadata
	} else {
		note(fieldMetadata, t.T("Enter a JSON object of at most 4,096 bytes, such as {\"team\": \"billing\"}."))
	}
	lifetime, wrong := readLifetime(t, values)
	if wrong != nil {
		problems = append(problems, *wrong)
	}
	c.Lifetime = lifetime
	return c, problems
}

// lines returns the lines of a text that are not empty. Commas end lines too.
func lines(text string) (all []string) {
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\n' || r == '\r' || r == ',' }) {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	return all
}

// compact returns a JSON object without the spaces between its parts, or "" for an empty
// object. It reports false for what package keyshttp refuses too: text that is not an
// object, or has half a surrogate pair.
func compact(text string) (string, bool) {
	if text = strings.TrimSpace(text); text == "" {
		return "", true
	}
	var object *json.RawMessage
	body := []byte(`{"metadata":` + text + `}`)
	if err := httpjson.ReadObject(body, httpjson.Optional("metadata", &object)); err != nil || object == nil {
		return "", false
	}
	if string(*object) == "{}" {
		return "", true
	}
	return string(*object), true
}

// indented returns a JSON object on several lines, and other text as it is.
func indented(metadata string) string {
	var b bytes.Buffer
	if !isObject(metadata) || json.Indent(&b, []byte(metadata), "", "  ") != nil {
		return metadata
	}
	return b.String()
}

// isObject reports whether metadata is empty or a JSON object. A form can only change
// such metadata. The host may keep other text there.
func isObject(metadata string) bool {
	return metadata == "" || strings.HasPrefix(metadata, "{") && json.Valid([]byte(metadata))
}

// A choice is a scope that a form offers.
type choice struct {
	scope
	Checked bool
	Lacking bool // the reader does not hold it
}

// choices returns the scopes that a form offers: those that can be granted, and those
// that the credential has.
func (h *Handler) choices(p keys.Principal, held scopes.Set, checked []string) (all []choice) {
	catalog := h.manager.Catalog()
	for _, s := range h.scopesOf(catalog.Grantable().Union(held)) {
		c := choice{scope: s, Checked: slices.Contains(checked, s.Name)}
		c.Checked = c.Checked || c.Always
		c.Lacking = !p.Scopes.Contains(s.Name)
		all = append(all, c)
	}
	return all
}

// A form is what the page with the settings of a credential shows.
type form struct {
	*section
	credential    *credential // nil for a new one
	Action, Back  string
	Values        url.Values // as typed
	Problems      []problem
	Choices       []choice
	Environments  []option
	Expires       []option
	CallerEnds    moment // see callerEnds
	CallerLimit   int
	Network       string // the networks of the reader
	HasMetadata   bool   // the form has a field for metadata
	KeepsEnd      string // why the end cannot be changed; empty if it can
	Once, Version string
}

// callerEnds returns the end that bounds what a reader makes, if the page knows it: that
// of the reader's key. A session bounds nothing, and what a token makes is bounded by the
// end of its client.
func (t texts) callerEnds(p *keys.Principal) moment {
	if p.Kind != keys.KindKey {
		return moment{}
	}
	return t.moment(p.ExpiresAt)
}

// New reports whether the form is for a new credential.
func (f *form) New() bool { return f.credential == nil }

// Credential returns the credential that the form is for, or nil for a new one.
func (f *form) Credential() *credential { return f.credential }

// Problem returns what is wrong with a field, or "".
func (f *form) Problem(field string) string { return problemWith(f.Problems, field) }

// More reports whether the fields that few people need are shown at once, since one of
// them has a value or a problem.
func (f *form) More() bool {
	for _, field := range []string{fieldLimit, fieldNetworks, fieldMetadata} {
		if f.Values.Get(field) != "" || f.Problem(field) != "" {
			return true
		}
	}
	return false
}

// A problem says why a form was not carried out. It is about one field, or about the
// whole form if Field is empty.
type problem struct{ Field, Text string }

// ID returns the ID of the field's element.
func (p problem) ID() string { return p.Field }

func problemWith(problems []problem, field string) string {
	for _, p := range problems {
		if p.Field == field {
			return p.Text
		}
	}
	return ""
}

// versionOf reads the version of a record that a form was made for.
func versionOf(values url.Values) (int64, error) {
	version, err := strconv.ParseInt(values.Get(fieldVersion), 10, 64)
	if err != nil || version < 1 {
		return 0, malformed
	}
	return version, nil
}

func versionText(rec *keys.Record) string { return fmt.Sprint(rec.Version) }
