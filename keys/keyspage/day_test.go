package keyspage_test

import (
	"context"
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
		if len(ends) != 1 || !ends[0].Before(next) || ends[0].Before(next.Add(-time.Minute)) {
			t.Errorf("ends at %v, want the last minute before %v", ends, next)
		}
	})
}
