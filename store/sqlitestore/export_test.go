package sqlitestore

// Statements returns the text of every statement that a Store runs.
func Statements() []string {
	records, limits := new(statements).texts()
	var texts []string
	for _, p := range append(records, limits...) {
		texts = append(texts, p.text)
	}
	return texts
}
