package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// A row is a line of list -json.
type row struct {
	ID, State string
	LastUse   string `json:"last_used_at"`
}

func rows(t *testing.T, out string) (all []row, ids []string) {
	t.Helper()
	for line := range strings.Lines(out) {
		r := read[row](t, line)
		all, ids = append(all, r), append(ids, r.ID)
	}
	return all, ids
}

func TestList(t *testing.T) {
	onStores(t, func(t *testing.T, h *host) {
		h.must(exitDone, "migrate")
		var made []string
		for range 5 {
			id, _ := h.create("keys", "create", "-org", "acme")
			made = append(made, id)
		}
		h.create("keys", "create", "-org", "other")
		h.create("clients", "create", "-org", "acme")
		slices.Sort(made)
		h.must(exitDone, "revoke", made[1])
		h.must(exitDone, "pause", made[2])
		used := time.Now().UTC().Truncate(time.Millisecond)
		s := h.session()
		if err := s.store.(keys.UseStore).NoteUses(t.Context(), map[string]time.Time{made[3]: used}); err != nil {
			t.Fatal(err)
		}
		without := slices.Delete(slices.Clone(made), 1, 2)
		tests := []struct {
			name string
			args []string
			want []string
		}{
			{"live ones", nil, without},
			{"all", []string{"-all"}, made},
			{"the first", []string{"-limit", "2"}, without[:2]},
			{"after one", []string{"-after", made[2], "-limit", "1"}, made[3:4]},
			{"after the last", []string{"-after", made[4]}, nil},
		}
		for _, tt := range tests {
			got, ids := rows(t, h.must(exitDone, append([]string{"keys", "list", "-org", "acme", "-json"}, tt.args...)...).out)
			if !slices.Equal(ids, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, ids, tt.want)
			}
			for _, r := range got {
				state := map[string]string{made[1]: "revoked", made[2]: "paused"}[r.ID]
				if state == "" {
					state = "live"
				}
				if r.State != state || (r.LastUse == used.Format("2006-01-02T15:04:05.000Z")) != (r.ID == made[3]) {
					t.Errorf("%s: %+v, want the state %s", tt.name, r, state)
				}
			}
		}
		if out := h.must(exitDone, "keys", "list", "-org", "acme").out; strings.Count(out, "\n") != 5 || !strings.Contains(out, instant(used)) {
			t.Errorf("the table:\n%s", out)
		}
		if out := h.must(exitDone, "show", made[3]).out; !strings.Contains(out, "Last used          "+instant(used)) {
			t.Errorf("show:\n%s", out)
		}
	})
}

// TestListOfMany reads more than one page.
func TestListOfMany(t *testing.T) {
	t.Parallel()
	h := sqliteHost(t)
	h.must(exitDone, "migrate")
	s := h.session()
	const n = 2*listSize + 1
	for range n {
		if _, err := s.manager.Create(t.Context(), "acme", keys.Spec{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, ids := rows(t, h.must(exitDone, "keys", "list", "-org", "acme", "-json").out); len(ids) != n || !slices.IsSorted(ids) {
		t.Errorf("%d keys, want %d in order", len(ids), n)
	}
	if _, ids := rows(t, h.must(exitDone, "keys", "list", "-org", "acme", "-json", "-limit", "201").out); len(ids) != 201 {
		t.Errorf("%d keys, want 201", len(ids))
	}
	if out := h.must(exitDone, "stats", "-progress").err; out != "" {
		t.Errorf("progress below a thousand records: %s", out)
	}
}

// TestLabelsAreHarmless has a label that would move the cursor of a terminal, and
// one that would add a row.
func TestLabelsAreHarmless(t *testing.T) {
	t.Parallel()
	h := sqliteHost(t)
	h.must(exitDone, "migrate")
	id, _ := h.create("keys", "create", "-org", "acme\x1b[2J", "-label", "a\x1b[1A\tb\nc\u202e\u009b31m")
	for _, args := range [][]string{{"keys", "list", "-org", "acme\x1b[2J"}, {"show", id}, {"rotate", id, "-as", "an\x1b[2Jna"}, {"keys", "create", "-org", "acme", "-as", "an\x1b[2Jna"}, {"orgs", "list"}, {"stats"}, {"revoke", id}} {
		r := h.must(exitDone, args...)
		if strings.ContainsAny(r.out+r.err, "\x1b\t\u202e\u009b") {
			t.Errorf("%v prints control characters: %q", args, r.out+r.err)
		}
	}
	if out := h.must(exitDone, "show", id).out; !strings.Contains(out, `a\x1b[1A\tb\nc\u202e\u009b31m`) {
		t.Errorf("the label is not there: %s", out)
	}
}
