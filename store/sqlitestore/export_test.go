package sqlitestore

// Statements returns the text of every statement that a Store runs.
func Statements() []string {
	var texts []string
	for text := range new(statements).texts() {
		texts = append(texts, text)
	}
	return texts
}
