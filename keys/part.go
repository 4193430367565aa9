package keys

import "strings"

// A Part is the part of a credential's text that a digest covers. Some systems hash
// the whole key, and others only its secret half.
type Part string

const (
	// SecretPart is the secret, as [Format.Parse] finds it, or the whole secret of
	// a client. The library's own digests cover this part.
	SecretPart Part = "secret"
	// TextPart is the whole text of a key, with its prefix and its ID.
	TextPart Part = "text"
)

// separators are the characters that can stand between the parts of a text.
const separators = "._-|:~"

// After returns the part of a text that follows the last occurrence of a separator.
// The separator is one of . _ - | : and ~. A text without it has no such part.
func After(separator byte) Part { return Part("after" + string(rune(separator))) }

// Codes of parts in a Digest. Any other code is the separator of After.
const (
	codeSecret byte = iota
	codeText
)

// code returns the code of a part, and false if there is no such part.
func (p Part) code() (code byte, ok bool) {
	switch p {
	case SecretPart:
		return codeSecret, true
	case TextPart:
		return codeText, true
	}
	separator, ok := strings.CutPrefix(string(p), "after")
	if !ok || len(separator) != 1 || !strings.Contains(separators, separator) {
		return 0, false
	}
	return separator[0], true
}

// partOf is the inverse of code.
func partOf(code byte) Part {
	switch code {
	case codeSecret:
		return SecretPart
	case codeText:
		return TextPart
	}
	return After(code)
}

// of returns the part of a credential that a code stands for, and false if the
// credential has no such part.
func (c *presented) of(code byte) (part string, ok bool) {
	switch code {
	case codeSecret:
		return c.Secret.Reveal(), true
	case codeText:
		return c.text, true
	}
	i := strings.LastIndexByte(c.text, code)
	return c.text[i+1:], i >= 0
}

// A presented is a credential with the text that it was found in. The text of a
// client is its secret.
type presented struct {
	Credential
	text string
}
