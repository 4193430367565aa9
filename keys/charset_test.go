package keys

import (
	"strings"
	"testing"
)

// TestCharsets puts every byte at every place of texts of many lengths, and
// compares what is said of eight characters at once with what the table says
// of each.
func TestCharsets(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]charset{"alnum": alnum, "lowerHex": lowerHex, "word": word, "b64token": b64token, "named": named, "visible": visible} {
		for length := range 27 {
			for place := range length {
				text := []byte(strings.Repeat("0", length))
				for b := range 256 {
					text[place] = byte(b)
					want := charsets[byte(b)]&c != 0
					if got := c.only(string(text)); got != want {
						t.Fatalf("%s: %q is %v", name, text, got)
					}
				}
			}
		}
	}
}
