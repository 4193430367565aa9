package keys

import (
	"strconv"
	"strings"
)

// Pattern returns a regular expression that finds the credentials of f in a text:
// those that the library made, whatever stands before and after them. It is for
// programs that look for leaked secrets, such as GitHub's secret scanning, gitleaks
// and trufflehog. Package regexp (RE2) and Hyperscan read it, as all others do that
// are in use: it has literals, character classes, counts and one group. What it
// finds is only likely to be a credential; [Format.Parse] tells whether the checksum
// is right too.
//
// It has no word boundary. In the source of a program or in JSON, the character
// before a credential is often the n of an escaped line break; in a URL it is the
// end of an escaped character.
//
// It does not find what [FormatOptions.AllowForeign] allows, which may be anything.
// With the layout [Apart] it is empty: such a secret looks like any other text of
// hex digits.
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
