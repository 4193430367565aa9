package keys

import (
	"strconv"
	"strings"
)

// Pattern returns a regular expression that finds credentials of f in a text,
// whatever stands before and after them. It is for programs that look for leaked
// secrets, such as GitHub's secret scanning, gitleaks and trufflehog. It has only
// literals, character classes, counts and one group, so every common engine reads it,
// package regexp (RE2) and Hyperscan among them. A match is only likely to be a
// credential; [Format.Parse] also checks the checksum.
//
// The expression has no word boundary. In source code or JSON, the character before a
// credential is often the n of an escaped line break, and in a URL it can be the end
// of an escaped character.
//
// It finds only credentials that the library made, and not those that
// [FormatOptions.AllowForeign] allows. With the layout [Apart] it is empty, since such
// a secret looks like any other hex digits.
func (f *Format) Pattern() string {
	var b strings.Builder
	b.WriteString(f.prefix)
	switch environments := f.Environments(); len(environments) {
	case 0:
	case 1:
		b.WriteString(environments[0] + "_")
	default:
		b.WriteString("(?:" + strings.Join(environments, "|") + ")_")
	}
	switch f.layout {
	case Dotted:
		b.WriteString("[0-9A-Za-z]{" + strconv.Itoa(dottedIDLen) + `}\.[0-9A-Za-z]{` + strconv.Itoa(dottedSecretLen) + "}")
	case Fixed:
		b.WriteString("[0-9a-f]{" + strconv.Itoa(fixedIDLen+hexSecretLen) + "}")
	default:
		return ""
	}
	return b.String()
}
