package keys

import (
	"fmt"
	"log/slog"
	"unsafe"
)

const redacted = "[redacted]"

// A Secret is text that must not be printed: a credential, the secret half of
// one, or a pepper. It prints as "[redacted]" under every verb of package fmt,
// in log/slog and in the encoders that know MarshalText. Only [Secret.Reveal]
// returns the text. The zero value is the empty secret.
//
// A Secret points to its text. So if package fmt prints a struct with a Secret in an
// unexported field, it shows an address and not the text. Secrets cannot be compared
// with ==, since that would take a time that depends on their text.
type Secret struct {
	_    [0]func() // not comparable
	text *byte     // nil if n is 0
	n    int
}

// NewSecret returns text as a Secret. It does not copy the text.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: unsafe.StringData(text), n: len(text)}
}

// Reveal returns the text.
func (s Secret) Reveal() string { return unsafe.String(s.text, s.n) }

// Len returns the length of the text in bytes.
func (s Secret) Len() int { return s.n }

// String returns "[redacted]".
func (Secret) String() string { return redacted }

// Format writes "[redacted]", whatever the verb and its flags.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue returns "[redacted]".
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "[redacted]". Handlers that show a new secret to its
// owner call [Secret.Reveal].
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// bytesOf returns the bytes of s without a copy. The caller must not change them.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
