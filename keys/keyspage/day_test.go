package keyspage_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// TestChosenDay makes a key that is good until a day: it is over in the last
// minute of the day, so before the next one begins.
func TestChosenDay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		time.Sleep(time.Millisecond - 1) // the bubble's own clock, which is at whole seconds otherwise
		values := h.get(anna, "/manage/new/keys").fields()
		values.Set("expires", "date")
		values.Set("until", time.Now().UTC().AddDate(0, 0, 7).Format(time.DateOnly))
		next := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 8)
		h.post(anna, "/manage/new/keys", values).wants(t, 201)
		var ends []time.Time
		page, err := h.store.List(context.Background(), keys.Query{Org: anna.Org, Kind: keys.KindKey, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range page {
			ends = append(ends, rec.ExpiresAt)
		}
		if len(ends) != 1 || next.Sub(ends[0]).Round(time.Second) != 30*time.Second {
			t.Errorf("ends at %v, want the middle of the last minute before %v", ends, next)
		}
	})
}

// TestMarks sends a form with marks of every kind and age.
func TestMarks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		values := h.get(anna, "/manage/new/keys").fields()
		text, stamp, _ := strings.Cut(values.Get("once"), "-")
		opened := func(d time.Duration) string { return text + "-" + strconv.FormatInt(time.Now().Add(d).Unix(), 36) }
		for _, tt := range []struct {
			name, mark string
			status     int
		}{
			{"without random text", "-" + stamp, 400},
			{"with less of it", text[1:] + "-" + stamp, 400},
			{"twelve hours old", opened(-12 * time.Hour), 201},
			{"older", opened(-12*time.Hour - time.Second), 409},
			{"by a clock that is fast", opened(5 * time.Minute), 201},
			{"by one that is wrong", opened(5*time.Minute + time.Second), 409},
		} {
			values.Set("once", tt.mark)
			p := h.post(anna, "/manage/new/keys", values)
			if p.status != tt.status || (p.status == 409) != strings.Contains(p.text(), "This form was opened too long ago.") {
				t.Errorf("%s: %d %s, want %d", tt.name, p.status, p.text(), tt.status)
			}
		}
		values.Set("once", text+"-"+stamp)
		h.post(anna, "/manage/new/keys", values).wants(t, 201)
		time.Sleep(12 * time.Hour) // on the test's own clock
		h.post(anna, "/manage/new/keys", values).wants(t, 409, "This form was sent before.")
	})
}

// TestEndsThatStay opens the forms of a key that has expired and of one that was replaced:
// they say why the end cannot be changed.
func TestEndsThatStay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		over, replaced := h.issue(keys.Spec{Lifetime: time.Hour}).Record.ID, h.issue(keys.Spec{}).Record.ID
		if _, err := h.manager.Rotate(t.Context(), "acme", replaced, keys.Rotation{Overlap: keys.Forever}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // on the test's own clock
		for id, want := range map[string]string{
			over: "It has expired. Create another one in its place.", replaced: "Its end cannot be changed, since it was replaced by another key.",
		} {
			p := h.get(anna, "/manage/keys/"+id+"/edit")
			if p.wants(t, 200, want); p.fields().Has("expires") {
				t.Errorf("the form has a choice of ends: %s", p.text())
			}
		}
	})
}
