package keyspage_test

import (
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

func TestBadForms(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	key := h.issue(keys.Spec{})
	at := "/manage/keys/" + key.Record.ID
	for _, tt := range []struct {
		name, path, kind, body string
		status                 int
	}{
		{"JSON", "/manage/new/keys", "application/json", `{"label":"x"}`, 415},
		{"multipart", "/manage/new/keys", "multipart/form-data; boundary=x", "--x--", 415},
		{"too long", "/manage/new/keys", "application/x-www-form-urlencoded", "label=" + strings.Repeat("a", 64<<10), 413},
		{"a field that is not known", "/manage/new/keys", "application/x-www-form-urlencoded", "org=globex", 400},
		{"a field twice", "/manage/new/keys", "application/x-www-form-urlencoded", "label=a&label=b", 400},
		{"no mark", "/manage/new/keys", "application/x-www-form-urlencoded", "label=a", 400},
		{"a mark of another form", "/manage/new/keys", "application/x-www-form-urlencoded", "label=a&once=x", 400},
		{"a mark with a number that is not ours", "/manage/new/keys", "application/x-www-form-urlencoded", "once=AAAAAAAAAAAAAAAAAAAAAAAAAA-%2B1", 400},
		{"not escaped", "/manage/new/keys", "application/x-www-form-urlencoded", "label=%zz", 400},
		{"no version", at + "/edit", "application/x-www-form-urlencoded", "label=a", 400},
		{"a version that is none", at + "/rotate", "application/x-www-form-urlencoded", "overlap=0&version=-1", 400},
		{"a field where there are none", at + "/pause", "application/x-www-form-urlencoded", "label=a", 400},
		{"a family that is none", at + "/revoke", "application/x-www-form-urlencoded", "family=2", 400},
		{"a key of another kind", strings.Replace(at, "keys", "clients", 1) + "/pause", "application/x-www-form-urlencoded", "", 404},
		{"an old mark", "/manage/new/keys", "application/x-www-form-urlencoded", "once=AAAAAAAAAAAAAAAAAAAAAAAAAA-rn2mo0", 409},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", tt.path, strings.NewReader(tt.body))
			r.Header.Set("Content-Type", tt.kind)
			p := h.send(as(anna, r))
			if p.status != tt.status || !strings.Contains(p.body, "<h1>") {
				t.Errorf("%d: %s", p.status, p.text())
			}
			if h.records(keys.KindKey) != 1 || h.record(key.Record.ID) != key.Record {
				t.Error("it was carried out")
			}
		})
	}
}

// TestBadChange sends a value that is not good with the form of a change.
func TestBadChange(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	at := "/manage/keys/" + h.issue(keys.Spec{}).Record.ID + "/edit"
	values := h.get(anna, at).fields()
	values.Set("limit", "many")
	h.post(anna, at, values).wants(t, 422, "a whole number, 1 or more")
}

// TestValues sends values that are not good, and looks for what was typed.
func TestValues(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	confined := clerk
	confined.Networks, _ = keys.ParseNetworks("10.0.0.0/8")
	confined.Environment = "test"
	for _, tt := range []struct {
		name, field, value, text string
		status                   int
	}{
		{"a long name", "label", strings.Repeat("a", 257), "at most 256 characters", 422},
		{"a network", "networks", "everywhere", "one network or address on each line", 422},
		{"networks of others", "networks", "192.0.2.0/24", "only use networks within your own", 422},
		{"a limit", "limit", "many", "a whole number, 1 or more", 422},
		{"a limit of none", "limit", "0", "a whole number, 1 or more", 422},
		{"a limit above one's own", "limit", "101", "more than your own limit", 422},
		{"a list", "metadata", "[1]", "a JSON object", 422},
		{"an object and more", "metadata", `{}, "label": "x"`, "a JSON object", 422},
		{"half a surrogate pair", "metadata", `{"a":"\ud800"}`, "a JSON object", 422},
		{"metadata", "metadata", `{"a":"` + strings.Repeat("b", 4100) + `"}`, "a JSON object", 422},
		{"a scope of others", "scopes", "webhooks:manage", "You do not have all of these scopes", 403},
		{"a reserved scope", "scopes", "leads:read", "These scopes cannot be granted: leads:read", 422},
		{"an unknown scope", "scopes", "a\"b", "These scopes cannot be granted: a\"b", 422},
		{"an environment", "environment", "live", "only use your own environment", 422},
		{"an end", "expires", "1000d", "Choose one of these.", 422},
		{"a day that is none", "until", "tomorrow", "Choose a day from today on", 422},
		{"a day in the past", "until", "2020-01-01", "Choose a day from today on", 422},
		{"a day far ahead", "until", "2999-01-01", "Choose a day from today on", 422},
	} {
		values := h.get(confined, "/manage/new/keys").fields()
		values.Set("label", "what was typed")
		values.Set(tt.field, tt.value)
		if tt.field == "until" {
			values.Set("expires", "date")
		}
		p := h.post(confined, "/manage/new/keys", values)
		p.wants(t, tt.status, "This was not done", tt.text)
		again := p.fields()
		if want := values["label"]; !slices.Equal(again["label"], want) {
			t.Errorf("%s: the name is %q", tt.name, again["label"])
		}
		if tt.field != "scopes" && tt.field != "environment" && tt.field != "expires" && again.Get(tt.field) != tt.value {
			t.Errorf("%s: the field has %q", tt.name, again.Get(tt.field))
		}
		if n := h.records(keys.KindKey); n != 0 {
			t.Fatalf("%s: made", tt.name)
		}
	}
}

// TestMarkup puts markup wherever text comes from.
func TestMarkup(t *testing.T) {
	t.Parallel()
	const evil = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`
	h := newHost(t)
	key := h.issue(keys.Spec{Label: evil, Metadata: evil, CreatedBy: "host:" + evil})
	other := h.issue(keys.Spec{CreatedBy: key.Record.ID, Metadata: `{"a":"</textarea><script>"}`})
	reader := anna
	reader.Label, reader.Org = evil, "acme"
	at := "/manage/keys/" + key.Record.ID
	pages := map[string]page{
		"search": h.get(reader, "/manage/keys?q="+url.QueryEscape(evil)+"&order="+url.QueryEscape(evil)+"&after="+url.QueryEscape(evil)),
		"found":  h.get(reader, "/manage/keys?q="+url.QueryEscape(evil)), "not found": h.get(reader, "/manage/keys/"+url.PathEscape(evil)),
		"done": h.get(reader, at+"?done="+url.QueryEscape(evil)), "other": h.get(reader, "/manage/keys/"+other.Record.ID+"/edit"),
		"typed": h.post(reader, "/manage/new/keys", url.Values{"label": {evil}, "networks": {evil}, "limit": {evil}, "metadata": {evil}, "until": {evil}, "expires": {evil}}),
		"scope": h.post(reader, "/manage/new/keys", func() url.Values {
			v := h.get(reader, "/manage/new/keys").fields()
			v.Set("scopes", evil)
			return v
		}()),
		"signed out": h.send(form(at+"/edit", url.Values{"label": {evil}})),
	}
	for _, path := range []string{"/manage/keys", at, at + "/edit", at + "/rotate", at + "/revoke", "/manage/keys/" + other.Record.ID, "/manage/new/keys"} {
		pages[path] = h.get(reader, path)
	}
	for name, p := range pages {
		if strings.Contains(p.body, "<script>") || strings.Contains(p.body, "<img") || strings.Contains(p.body, `"'>`) {
			t.Errorf("%s: %s", name, p.body)
		}
	}
}

// TestSecrets looks for secrets on all pages but those that show a new one.
func TestSecrets(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	key, client := h.issue(keys.Spec{}), h.issue(keys.Spec{Kind: keys.KindClient})
	_, keySecret, _ := strings.Cut(key.Text.Reveal(), ".")
	for _, route := range h.routes(key.Record.ID, client.Record.ID) {
		p := h.get(anna, route[1])
		for _, secret := range []string{keySecret, client.Text.Reveal(), key.Record.Digest.Text(), client.Record.Digest.Text()} {
			if strings.Contains(p.body, secret) {
				t.Errorf("%s shows a secret", route[1])
			}
		}
	}
	made := h.post(anna, "/manage/new/keys", h.get(anna, "/manage/new/keys").fields())
	secret := made.secret(t)
	if strings.Contains(made.header.Get("Location"), secret) || strings.Contains(h.log.String(), secret) || strings.Count(made.body, secret) != 1 || made.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the secret is elsewhere: %v", made.header)
	}
}

// A form says when the key of its reader ends, since nothing that the reader makes ends
// later. The end of a session or of an access token bounds nothing; what a token makes
// is bounded by the end of its client, which the page does not know.
func TestFormsNameTheEndOfTheReader(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	const hint = "when your own credential ends: 1 Jan 2100, 00:00 UTC"
	end := time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		kind keys.Kind
		ends time.Time
		want bool
	}{
		"a session":             {"", time.Time{}, false},
		"a session with an end": {"", end, false},
		"a key without an end":  {keys.KindKey, time.Time{}, false},
		"a key":                 {keys.KindKey, end, true},
		"a token":               {keys.KindToken, end, false},
	} {
		reader := anna
		reader.Kind, reader.ExpiresAt = tt.kind, tt.ends
		if got := h.get(reader, "/manage/new/keys"); got.status != 200 || strings.Contains(got.body, hint) != tt.want {
			t.Errorf("%s: %d, and the hint is there: %t, want %t", name, got.status, !tt.want, tt.want)
		}
	}
}
