package keyspage_test

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyspage"
)

var rowName = regexp.MustCompile(`(?s)<th role="rowheader".*?<a href="[^"]*"[^>]*>(.*?)</a>`)

// rows returns the names in a list.
func (p page) rows() (names []string) {
	for _, m := range rowName.FindAllStringSubmatch(p.body, -1) {
		names = append(names, m[1])
	}
	return names
}

func TestListOrders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		for _, spec := range []keys.Spec{
			{Label: "b", Lifetime: 2 * time.Hour, Scopes: []string{"keys:manage"}},
			{Label: "A", Lifetime: time.Hour, Environment: "test"},
			{Label: "c", CreatedBy: "host:anna"},
		} {
			issued := h.issue(spec)
			time.Sleep(time.Minute) // on the test's own clock
			if spec.Label != "c" {
				h.use(issued)
			}
		}
		for query, want := range map[string]string{
			"": "c A b", "?order=oldest": "b A c", "?order=name": "A b c", "?order=used": "A b c", "?order=ends": "A b c", "?order=junk": "c A b",
			"?q=HOST:ANNA": "c", "?q=test": "A", "?q=manage": "b", "?q=vck_live_&order=name": "b c", "?q=anna+HOST": "c", "?q=none": "", "?page=9": "c A b", "?page=-1": "c A b",
		} {
			if got := strings.Join(h.get(anna, "/manage/keys"+query).rows(), " "); got != want {
				t.Errorf("%s: %s, want %s", query, got, want)
			}
		}
		for i := range 40 { // at two moments: those of one stand in the order of their IDs
			if i == 20 {
				time.Sleep(time.Minute) // on the test's own clock
			}
			h.issue(keys.Spec{Label: "same", Environment: "test"})
		}
		var ids []string
		for _, m := range regexp.MustCompile(`/manage/keys/(vck_test_[^"/]*)"`).FindAllStringSubmatch(h.get(anna, "/manage/keys?q=same").body, -1) {
			ids = append(ids, m[1])
		}
		if ids = slices.Compact(ids); len(ids) != 40 || !slices.IsSorted(ids[:20]) || !slices.IsSorted(ids[20:]) {
			t.Errorf("keys of two moments: %q", ids)
		}
		h.get(anna, "/manage/keys?q=none").wants(t, 200, "No key matches.")
		h.get(stranger, "/manage/keys").wants(t, 200, "There are no keys yet.")
	})
}

func TestListPages(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	const n = 1000 + 70
	for range n {
		h.issue(keys.Spec{})
	}
	seen := make(map[string]bool)
	pages := 0
	next := regexp.MustCompile(`<a class="kp-button" href="([^"]*)" rel="next">|<a href="([^"]*)">Show the next ones`)
	for path := "/manage/keys"; path != ""; pages++ {
		p := h.get(anna, path)
		p.wants(t, 200, "Your organization has more keys.")
		for _, name := range p.rows() {
			seen[name] = true
		}
		path = ""
		// The next page of what was read, and at its end what comes after it.
		all := next.FindAllStringSubmatch(p.body, -1)
		if i := slices.IndexFunc(all, func(m []string) bool { return m[1] != "" }); i >= 0 {
			path = all[i][1]
		} else if len(all) > 0 {
			path = all[0][2]
		}
		path = strings.ReplaceAll(path, "&amp;", "&")
	}
	if len(seen) != n || pages != 22 {
		t.Errorf("%d of %d on %d pages", len(seen), n, pages)
	}
	h.get(anna, "/manage/keys?after=%00").wants(t, 400)
	h.get(anna, "/manage/keys?after="+strings.Repeat("a", keys.MaxID+1)).wants(t, 400)
}

// TestSearch sends what somebody may look for, and checks what goes into the URL.
func TestSearch(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	key := h.issue(keys.Spec{Label: "ci"})
	client := h.issue(keys.Spec{Kind: keys.KindClient})
	token, err := h.manager.IssueToken(t.Context(), client.Record, client.Record.Scopes, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{key.Text.Reveal(), token.Text.Reveal(), client.Text.Reveal(), "  " + key.Text.Reveal() + "\tci "} {
		p := h.post(anna, "/manage/search/keys", url.Values{"q": {text}, "order": {"name"}, "revoked": {"1"}})
		to, err := url.Parse(p.header.Get("Location"))
		if err != nil || p.status != 303 || to.Path != "/manage/keys" || to.Query().Get("order") != "name" || to.Query().Get("revoked") != "1" {
			t.Fatalf("%d, to %s, %v", p.status, to, err)
		}
		for word := range strings.FieldsSeq(text) {
			if _, secret, dotted := strings.Cut(word, "."); dotted {
				word = secret
			}
			if tail := word[max(0, len(word)-32):]; len(word) > 32 && strings.Contains(to.RawQuery, tail) {
				t.Errorf("the URL has a secret: %s", to)
			}
		}
		if strings.HasPrefix(strings.TrimSpace(text), "vck_") && !slices.Equal(h.get(anna, to.String()).rows(), []string{"ci"}) {
			t.Errorf("%s does not find the key", to)
		}
	}
	a := func(n int) string { return strings.Repeat("a", n) }
	for text, want := range map[string]string{a(40): a(40), a(41): a(30), a(100) + ".x": a(100), a(101) + ".x": a(30)} {
		h.post(anna, "/manage/search/keys", url.Values{"q": {text}}).leads(t, "/manage/keys?q="+want)
	}
	h.post(anna, "/manage/search/clients", nil).leads(t, "/manage/clients")
	h.post(anna, "/manage/search/keys", url.Values{"q": {strings.Repeat("ü ", 300)}}).leads(t, "/manage/keys?q="+strings.TrimSuffix(strings.Repeat("%C3%BC+", 67), "+"))
	h.post(anna, "/manage/search/keys", url.Values{"q": {"xxx " + strings.Repeat("ü ", 300)}}).leads(t, "/manage/keys?q=xxx+"+strings.Repeat("%C3%BC+", 65)) // of the next one there is a half
}

// TestUsesThatAreNotKept looks for the column on a host that keeps no uses.
func TestUsesThatAreNotKept(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.issue(keys.Spec{})
	h.get(anna, "/manage/keys").wants(t, 200, "Last used Expires")
	manager, err := keys.NewManager(h.store, &keys.Options{Format: format, Catalog: catalog})
	if err != nil {
		t.Fatal(err)
	}
	h.serve(manager, keyspage.Options{})
	p := h.get(anna, "/manage/keys")
	p.wants(t, 200, "Scopes Expires")
	if fmt.Sprint(p.rows()) == "[]" {
		t.Error("no rows")
	}
}

// TestNamesThatMislead has names of which nothing can be seen, and one that would turn
// around the text after it.
func TestNamesThatMislead(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	blank := h.issue(keys.Spec{Label: "\u200b \u2060\u00ad"})
	turned := h.issue(keys.Spec{Label: "\u202etxt.ci", CreatedBy: blank.Record.ID})
	list := h.get(anna, "/manage/keys?order=oldest")
	if got, want := list.rows(), []string{blank.Record.ID, "\u202etxt.ci"}; !slices.Contains(got, want[0]) || !slices.Contains(got, want[1]) {
		t.Errorf("rows %q, want %q", got, want)
	}
	link := `<a href="/manage/find/` + blank.Record.ID + `" dir="auto">` + blank.Record.ID + `</a>`
	for _, path := range []string{"/manage/keys", "/manage/keys/" + turned.Record.ID} {
		if body := h.get(anna, path).body; !strings.Contains(body, link) {
			t.Errorf("%s lacks %s: %s", path, link, body)
		}
	}
	// An element with a direction of its own ends what its text has begun.
	name := regexp.MustCompile(`<([a-z]+)([^>]*)>\x{202e}txt\.ci</`)
	for _, path := range []string{
		"/manage/keys", "/manage/keys/" + turned.Record.ID + "/edit", "/manage/keys/" + turned.Record.ID + "/rotate",
		"/manage/keys/" + turned.Record.ID + "/revoke", "/manage/keys/" + blank.Record.ID + "/revoke",
	} {
		found := name.FindAllStringSubmatch(h.get(anna, path).body, -1)
		if len(found) == 0 {
			t.Errorf("%s: the name is not there", path)
		}
		for _, m := range found {
			if m[1] != "h1" && m[1] != "title" && !strings.Contains(m[2], ` dir="auto"`) {
				t.Errorf("%s: %q lets the name turn around what follows", path, m[0])
			}
		}
	}
}
