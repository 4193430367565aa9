package pgstore

// NextText is nextText, for a test that compares it with Limit.Take.
var NextText = nextText

// Schema returns the schema of the tables.
func (s *Store) Schema() string { return s.schema }

// Statements returns the texts of the statements that are to find their rows by
// an index, with arguments for each.
func (s *Store) Statements() map[string][]any {
	return map[string][]any{
		s.sql.get:      {"id"},
		s.sql.list:     {"acme", "key", "a", int64(10)},
		s.sql.listLive: {"acme", "key", "a", int64(10)},
		s.sql.count:    {"acme", "key", int64(1), int64(10)},
		s.sql.orgs:     {"acme", int64(10)},
		s.sql.update: {
			"id", "acme", "key", int64(1), "", "", int64(1), int64(0), nil, nil, nil,
			"x", nil, nil, nil, nil, nil, int64(1),
		},
		s.sql.insert: {
			"id", "key", "acme", nil, "", "", int64(1), int64(0), nil, nil, nil, nil, nil, nil,
			"x", nil, nil, int64(0), nil, nil, nil, int64(1), int64(1),
		},
		s.sql.sweep:    {int64(0), int64(10)},
		s.sql.noteUses: {[]string{"id"}, []int64{1}},
		s.sql.lastUses: {[]string{"id"}},
		s.sql.take:     {"3:org:a", int64(1), int64(1), int64(1)},
	}
}

// LiveTexts returns the texts of the statements for a page of live records, for a
// count of them, and for organizations.
func (s *Store) LiveTexts() (list, count, orgs string) {
	return s.sql.listLive, s.sql.count, s.sql.orgs
}
