package sqlitestore_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/store/sqlitestore"
)

// TestPlans reads what SQLite means to do for each statement: every table is
// searched by an index, and nothing is sorted. Lists of IDs are read in full.
func TestPlans(t *testing.T) {
	t.Parallel()
	path := file(t)
	open(t, path)
	db := database(t, hostDSN(path))
	var got [][]string
	for _, text := range sqlitestore.Statements() {
		rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, make([]any, 23)...)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		var steps []string
		for rows.Next() {
			var id, parent, unused int
			var step string
			if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
				t.Fatal(err)
			}
			steps = append(steps, step)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		got = append(got, steps)
	}
	byID := "SEARCH claviger_records USING PRIMARY KEY (id=?)"
	want := [][]string{
		{"SEARCH claviger_uses USING PRIMARY KEY (id=?)"}, // insert
		{"SEARCH r USING PRIMARY KEY (id=?)"},
		{"SEARCH r USING PRIMARY KEY (id>?)", "SEARCH p USING PRIMARY KEY (id=?) LEFT-JOIN"},
		{byID},
		{byID},
		{"SEARCH r USING INDEX claviger_records_by_owner (org=? AND kind=? AND id>?)"},
		{"SEARCH r USING INDEX claviger_records_live (org=? AND kind=? AND id>?)"},
		{
			byID,
			"LIST SUBQUERY 1",
			"SEARCH claviger_records USING INDEX claviger_records_by_end (ends_at>? AND ends_at<?)",
			"SEARCH claviger_uses USING PRIMARY KEY (id=?)",
		},
		{
			"CO-ROUTINE (subquery-2)",
			"COMPOUND QUERY",
			"LEFT-MOST SUBQUERY",
			"SEARCH claviger_records USING COVERING INDEX claviger_records_in_use (org=? AND kind=? AND expires_at=? AND revoked_at=?)",
			"UNION ALL",
			"SEARCH claviger_records USING COVERING INDEX claviger_records_in_use (org=? AND kind=? AND expires_at>?)",
			"SCAN (subquery-2)",
		},
		{
			"CO-ROUTINE orgs",
			"SETUP",
			"SEARCH claviger_records USING COVERING INDEX claviger_records_by_owner (org>?)",
			"RECURSIVE STEP",
			"SCAN orgs",
			"CORRELATED SCALAR SUBQUERY 2",
			"SEARCH claviger_records USING COVERING INDEX claviger_records_by_owner (org>?)",
			"SCAN orgs",
		},
		{"SCAN u VIRTUAL TABLE INDEX 1:", "SEARCH r USING PRIMARY KEY (id=?)"},
		{"SCAN i VIRTUAL TABLE INDEX 1:", "SEARCH u USING PRIMARY KEY (id=?)"},
		nil, // announce
		{
			"SEARCH claviger_announcements USING PRIMARY KEY (id=?)", // withdraw
			"LIST SUBQUERY 1",
			"SCAN json_each VIRTUAL TABLE INDEX 1:",
		},
		{"SCAN claviger_announcements"}, // which has a row for each process
		{"SCAN claviger_announcements"},
		{"SEARCH claviger_announcements USING PRIMARY KEY"},
		{
			"CO-ROUTINE feed", // poll
			"SCAN CONSTANT ROW",
			"SCALAR SUBQUERY 1",
			"SCAN claviger_epoch",
			"SCALAR SUBQUERY 2",
			"SEARCH claviger_changes",
			"SCALAR SUBQUERY 3",
			"SEARCH claviger_changes",
			"SCALAR SUBQUERY 4",
			"SEARCH claviger_announcements USING PRIMARY KEY (id=?)",
			"SCAN feed",
			"SEARCH c USING INTEGER PRIMARY KEY (rowid>?) LEFT-JOIN",
		},
		{"SEARCH claviger_chains USING PRIMARY KEY (org=?)"},
		nil, // the end of a chain
		nil, // an entry
		{"SEARCH claviger_trail USING PRIMARY KEY (org=? AND seq>?)"},
		{"SEARCH claviger_trail USING PRIMARY KEY (org=? AND seq=?)"},
		{"SEARCH claviger_trail USING PRIMARY KEY (org=? AND seq<?)"},
		{"SEARCH claviger_chains USING PRIMARY KEY (org=?)"},
		{"SCAN claviger_epoch"}, // which has one row
		{"SEARCH claviger_buckets USING PRIMARY KEY (key=?)"},
		{"SEARCH claviger_buckets USING PRIMARY KEY (key>?)"}, // the walk over all
		{
			"SEARCH claviger_buckets USING PRIMARY KEY (key=?)",
			"LIST SUBQUERY 1",
			"SCAN json_each VIRTUAL TABLE INDEX 1:",
		},
		{"SEARCH claviger_buckets USING PRIMARY KEY (key=?)"},
		nil, // put
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
