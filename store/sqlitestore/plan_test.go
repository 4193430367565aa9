package sqlitestore_test

import (
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/store/sqlitestore"
)

// TestPlans reads what SQLite means to do for each statement: every table is
// searched by an index, and nothing is sorted. Lists of IDs are read in full.
func TestPlans(t *testing.T) {
	t.Parallel()
	path := file(t)
	open(t, path)
	db := database(t, hostDSN(path))
	searches := 0
	for _, text := range sqlitestore.Statements() {
		args := make([]any, 15)
		rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, args...)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		for rows.Next() {
			var id, parent, unused int
			var step string
			if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
				t.Fatal(err)
			}
			list := strings.Contains(step, "VIRTUAL TABLE")
			if strings.HasPrefix(step, "SCAN") && !list || strings.Contains(step, "TEMP B-TREE") {
				t.Errorf("%s:\n\t%s", text, step)
			}
			if strings.HasPrefix(step, "SEARCH") {
				searches++
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	// One for each statement but the insertion of a record, another for the
	// parent, and two more for a sweep: the dead, and their uses.
	if want := 11; searches != want {
		t.Errorf("%d searches in all plans, want %d", searches, want)
	}
}
