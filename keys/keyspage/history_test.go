package keyspage_test

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyspage"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

// What entries can have that the pages have words for.
const everyField = "label scopes rate_limit token_lifetime networks metadata replaced_by digest previous expires_at revoked_at disabled_at"

var everyReason = []string{
	keys.ReasonMismatch, keys.ReasonExpired, keys.ReasonRevoked, keys.ReasonPaused, keys.ReasonNetwork, keys.ReasonLimit, keys.ReasonScope,
	keys.ReasonBeyond, keys.ReasonCallerEnded, keys.ReasonLimitReached,
}

// newTrailHost returns a host that keeps a trail.
func newTrailHost(t *testing.T) *host {
	t.Helper()
	return newHostWith(t, keys.Options{Trail: true}, keyspage.Options{})
}

// note adds an entry to the trail of an organization.
func (h *host) note(org string, e keys.Entry) {
	h.t.Helper()
	e.Org, e.Time = org, time.Now().UTC().Truncate(time.Millisecond)
	if err := h.store.AddEntry(context.Background(), e); err != nil {
		h.t.Fatal(err)
	}
}

var rowTag = regexp.MustCompile(`(?s)<tr role="row">\s*<th role="rowheader" scope="row"><time .*?</th>(.*?)</tr>`)

// history returns the texts of the rows about what was done, without their times.
func (p page) history() (rows []string) {
	_, section, _ := strings.Cut(p.body, `<section class="kp-history"`)
	for _, m := range rowTag.FindAllStringSubmatch(section, -1) {
		rows = append(rows, strings.TrimSpace(spaces.ReplaceAllString(html.UnescapeString(anyTag.ReplaceAllString(m[1], " ")), " ")))
	}
	return rows
}

// TestHistory does all that can be done to a key and a client.
func TestHistory(t *testing.T) {
	t.Parallel()
	h := newTrailHost(t)
	admin := h.issue(keys.Spec{Label: `<b>"ops"</b>`, Scopes: []string{"keys:manage", "webhooks:manage"}, CreatedBy: "host:cli"})
	boss, err := h.manager.Verifier().Verify(t.Context(), admin.Text.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	send := func(p keys.Principal, path string, values url.Values) page {
		r := as(p, form(path, values))
		return h.send(r.WithContext(keys.NewAddressContext(r.Context(), netip.MustParseAddr("::ffff:192.0.2.7"))))
	}
	made := send(anna, "/manage/new/keys", h.get(anna, "/manage/new/keys").fields())
	made.wants(t, 201)
	id := regexp.MustCompile(`/manage/keys/(\w+)`).FindStringSubmatch(made.body)[1]
	at := "/manage/keys/" + id
	h.use(keys.Issued{Text: keys.NewSecret(made.secret(t))})

	values := h.get(anna, at+"/edit").fields()
	values.Set("label", "changed")
	values.Set("limit", "7")
	send(boss, at+"/edit", values).leads(t, at+"?done=changed")
	send(anna, at+"/pause", nil)
	send(anna, at+"/resume", nil)
	h.note("acme", keys.Entry{
		Action: keys.ActionRefused, ID: id, Reason: keys.ReasonMismatch, Count: 1, Address: netip.MustParseAddr("2001:db8::1"),
	})
	h.note("acme", keys.Entry{Action: keys.ActionRefused, ID: id, Actor: admin.Record.ID, Reason: keys.ReasonBeyond, Count: 12})
	h.note("acme", keys.Entry{Action: `<i>`, ID: id, Fields: "<u> label", Actor: "<script>alert(1)</script>", Reason: `"><img>`, Other: "key_unknown"})
	send(anna, at+"/rotate", h.get(anna, at+"/rotate").fields()).wants(t, 201)
	successor := h.record(id).ReplacedBy
	send(anna, at+"/revoke", url.Values{"family": {""}}).leads(t, at)

	p := h.get(anna, at)
	p.wants(t, 200, "History", "Newest first", "Time What was done By whom Address", "just now")
	if diff := cmp.Diff([]string{
		"Revoked host:anna 192.0.2.7",
		"Rotated: End Replaced by changed host:anna 192.0.2.7",
		`<i>: <u>, Name "><img> Replaced by key_unknown <script>alert(1)</script> Unknown`,
		`Refused 12 times The caller did not have all that it needed. <b>"ops"</b> Unknown`,
		"Refused once Its secret was wrong. Unknown 2001:db8::1",
		"Resumed host:anna 192.0.2.7",
		"Paused host:anna 192.0.2.7",
		`Changed: Name, Limit <b>"ops"</b> 192.0.2.7`,
		"Made host:anna 192.0.2.7",
	}, p.history()); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	for _, tag := range []string{"<script>", "<img", "<b>", "<i>", "<u>", "style="} {
		if _, main, _ := strings.Cut(p.body, "<main"); strings.Contains(main, tag) {
			t.Errorf("the page has %s: %s", tag, main)
		}
	}
	for _, link := range []string{
		`<a href="/manage/find/` + admin.Record.ID + `" dir="auto">&lt;b&gt;&#34;ops&#34;&lt;/b&gt;</a>`,
		`<a href="/manage/find/` + successor + `" dir="auto">changed</a>`,
	} {
		if !strings.Contains(p.body, link) {
			t.Errorf("the page lacks %s: %s", link, p.body)
		}
	}
	if strings.Contains(p.body, "/find/key_unknown") || strings.Contains(p.body, "/find/host") {
		t.Errorf("a link that leads nowhere: %s", p.body)
	}
	if diff := cmp.Diff([]string{"Made in the place of changed host:anna 192.0.2.7"}, h.get(anna, "/manage/keys/"+successor).history()); diff != "" {
		t.Errorf("history of the successor (-want +got):\n%s", diff)
	}

	client := h.issue(keys.Spec{Kind: keys.KindClient})
	at = "/manage/clients/" + client.Record.ID
	send(anna, at+"/rotate", h.get(anna, at+"/rotate").fields()).wants(t, 200)
	send(anna, at+"/revoke", url.Values{"family": {""}}).leads(t, at)
	if diff := cmp.Diff([]string{"Deleted host:anna 192.0.2.7", "Rotated host:anna 192.0.2.7", "Made Unknown Unknown"}, h.get(anna, at).history()); diff != "" {
		t.Errorf("history of a client (-want +got):\n%s", diff)
	}
}

// TestHistoryWithout looks for the section where no trail is kept.
func TestHistoryWithout(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	key := h.issue(keys.Spec{})
	h.note("acme", keys.Entry{Action: keys.ActionChanged, ID: key.Record.ID}) // of another process
	p := h.get(anna, "/manage/keys/"+key.Record.ID)
	p.wants(t, 200)
	if strings.Contains(p.body, "history") || strings.Contains(p.body, "History") || h.faults.Calls(storetest.Chains) > 0 {
		t.Errorf("%d calls: %s", h.faults.Calls(storetest.Chains), p.text())
	}
}

// TestHistoryFails shows the page while the trail cannot be read, or not in time.
func TestHistoryFails(t *testing.T) {
	t.Parallel()
	for _, m := range []storetest.Method{storetest.Chains, storetest.Entries} {
		for _, slow := range []bool{false, true} {
			t.Run(fmt.Sprint(m, slow), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					h := newHostWith(t, keys.Options{Trail: true, Timeout: time.Minute}, keyspage.Options{})
					key := h.issue(keys.Spec{Label: "ci"})
					if slow {
						defer h.faults.Block(m)()
					} else {
						h.faults.Fail(m, storetest.Always, errors.New("dial db:5432: s3cret"))
					}
					begin := time.Now()
					p := h.get(anna, "/manage/keys/"+key.Record.ID)
					p.wants(t, 200, "ci", key.Record.ID, "The history cannot be read now.")
					if p.history() != nil || strings.Contains(p.body, "s3cret") || strings.Contains(h.log.String(), "s3cret") == slow || h.log.Len() == 0 {
						t.Errorf("%s; %s", p.text(), h.log)
					}
					if took := time.Since(begin); took > 2*time.Second {
						t.Errorf("it took %v", took)
					}
				})
			})
		}
	}
}

// A splitStore has a trail of several chains, whatever is asked for.
type splitStore struct {
	*store.Memory
	names  []string
	chains map[string][]keys.Entry
}

func (s *splitStore) Chains(context.Context, string) (all []keys.Chain, err error) {
	for _, name := range s.names {
		c := keys.Chain{Name: name}
		if list := s.chains[name]; len(list) > 0 {
			c.Last.Seq, c.Cut.Seq = list[len(list)-1].Seq, list[0].Seq-1
		}
		all = append(all, c)
	}
	return all, nil
}

func (s *splitStore) Entries(_ context.Context, _, chain string, after int64, limit int) (page []keys.Entry, err error) {
	for _, e := range s.chains[chain] {
		if e.Seq > after && len(page) < limit {
			page = append(page, e)
		}
	}
	return page, nil
}

// TestHistoryChains merges what several chains have, of which some were cut, and
// leaves out what a store gives that is not asked for.
func TestHistoryChains(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	key, other := h.issue(keys.Spec{}), h.issue(keys.Spec{})
	entry := func(seq int64, minute int, org, id, reason string) keys.Entry {
		return keys.Entry{
			Org: org, Seq: seq, ID: id, Action: keys.ActionRefused, Reason: reason, Count: 2,
			Time: time.Date(2026, 1, 2, 3, minute, 0, 0, time.UTC),
		}
	}
	id := key.Record.ID
	s := &splitStore{Memory: h.store, names: []string{"a", "b", "c"}, chains: map[string][]keys.Entry{
		"a": {entry(1, 10, "acme", id, "a10"), entry(2, 5, "acme", id, "a5"), entry(3, 30, "acme", id, "a30")},
		"c": {
			entry(41, 20, "acme", id, "c20"), entry(42, 21, "globex", id, "foreign"), entry(43, 22, "acme", other.Record.ID, "other"),
		},
	}}
	for seq := int64(44); seq < 1044; seq++ {
		s.chains["c"] = append(s.chains["c"], entry(seq, 30, "acme", other.Record.ID, "other"))
	}
	s.chains["c"] = append(s.chains["c"], entry(1044, 40, "acme", id, "c40"))
	for i := range 13 { // as a store with sixteen has them
		s.names = append(s.names, fmt.Sprint("empty", i))
	}
	manager, err := keys.NewManager(s, &keys.Options{Format: format, Catalog: catalog, Trail: true})
	if err != nil {
		t.Fatal(err)
	}
	h.serve(manager, keyspage.Options{})
	p := h.get(anna, "/manage/keys/"+id)
	var reasons []string
	for _, row := range p.history() {
		reasons = append(reasons, strings.Fields(row)[3])
	}
	// Within chain a the clock went back: its order is that of the chain.
	if diff := cmp.Diff([]string{"c40", "a30", "c20", "a5", "a10"}, reasons); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	if strings.Contains(p.text(), "older") {
		t.Errorf("all was looked at: %s", p.text())
	}
	h.get(stranger, "/manage/keys/"+id).wants(t, 404)
}

// TestHistoryOrgs writes entries with the ID of another organization's key.
func TestHistoryOrgs(t *testing.T) {
	t.Parallel()
	h := newTrailHost(t)
	key := h.issue(keys.Spec{})
	theirs, err := h.manager.Create(t.Context(), "globex", keys.Spec{Label: "their label"})
	if err != nil {
		t.Fatal(err)
	}
	h.note("globex", keys.Entry{Action: keys.ActionChanged, ID: key.Record.ID, Actor: "host:eve"})
	h.note("acme", keys.Entry{Action: keys.ActionChanged, ID: key.Record.ID, Actor: theirs.Record.ID})
	p := h.get(anna, "/manage/keys/"+key.Record.ID)
	if diff := cmp.Diff([]string{"Changed " + theirs.Record.ID + " Unknown", "Made Unknown Unknown"}, p.history()); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	if strings.Contains(p.body, "their label") || strings.Contains(p.body, "/find/"+theirs.Record.ID) {
		t.Errorf("what is another organization's shows: %s", p.body)
	}
}

// TestHistoryBounds has more entries than are shown, and than are looked at.
func TestHistoryBounds(t *testing.T) {
	t.Parallel()
	const older, part = "These are the latest entries.", "Only the latest entries"
	for _, tt := range []struct {
		name         string
		about, after int // entries about the key, and then about others
		cut          bool
		rows         int
		notes        string // which of older and part there are
		calls        int    // of Entries
	}{
		{"few", 3, 10, false, 4, "", 1},
		{"none", 0, 1, true, 0, "", 1},
		{"as many as are shown", 49, 0, false, 50, "", 1},
		{"one more", 50, 0, false, 50, older, 1},
		{"as many, and nothing else in a window", 49, 970, false, 50, "", 2},
		{"far back", 0, 4999, false, 1, "", 5},
		{"too far back", 0, 5000, false, 0, part, 5},
		{"a part", 2, 4999, false, 1, part, 5},
		{"cut", 2, 10, true, 2, "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newTrailHost(t)
			key := h.issue(keys.Spec{})
			for range tt.about {
				h.note("acme", keys.Entry{Action: keys.ActionPaused, ID: key.Record.ID})
			}
			for range tt.after {
				h.note("acme", keys.Entry{Action: keys.ActionPaused, ID: "key_other"})
			}
			if tt.cut {
				if err := h.store.CutEntries(t.Context(), "acme", "", 1); err != nil {
					t.Fatal(err)
				}
			}
			p := h.get(anna, "/manage/keys/"+key.Record.ID)
			if rows := p.history(); len(rows) != tt.rows {
				t.Errorf("%d rows, want %d: %q", len(rows), tt.rows, rows)
			}
			for _, note := range []string{older, part} {
				if strings.Contains(p.text(), note) != (tt.notes == note) {
					t.Errorf("want the note %q: %s", tt.notes, p.text())
				}
			}
			if strings.Contains(p.text(), "There are no entries about it.") != (tt.rows == 0 && tt.notes == "") {
				t.Errorf("%d rows: %s", tt.rows, p.text())
			}
			if calls := h.faults.Calls(storetest.Entries); calls != tt.calls {
				t.Errorf("%d calls, want %d", calls, tt.calls)
			}
		})
	}
}
