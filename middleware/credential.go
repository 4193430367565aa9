package middleware

import (
	"net/http"
	"strings"
)

// credential returns the one credential of a request. It reads the header
// fields alone: a query, a body or a cookie ends up in logs and in links.
func (g *Guard) credential(h http.Header) (string, error) {
	lines := h["Authorization"]
	if g.apiKey {
		if apiKey := h["X-Api-Key"]; len(apiKey) > 0 {
			if len(lines)+len(apiKey) > 1 {
				return "", ErrSeveralCredentials
			}
			return apiKey[0], nil
		}
	}
	switch len(lines) {
	case 0:
		return "", ErrNoCredential
	case 1:
		return bearer(lines[0])
	}
	return "", ErrSeveralCredentials
}

// bearer returns the credential of an Authorization field of the scheme Bearer
// (RFC 6750 §2.1): the scheme in any case, spaces, and the credential, which
// may be anything here, since the verifier knows which texts are any good.
func bearer(field string) (string, error) {
	if strings.IndexByte(field, ',') >= 0 && secondCredential(field) {
		return "", ErrSeveralCredentials
	}
	rest, usual := strings.CutPrefix(field, "Bearer ")
	if !usual {
		var scheme string
		if scheme, rest, _ = strings.Cut(field, " "); !isBearer(scheme) {
			return "", ErrNoCredential
		}
	}
	for len(rest) > 0 && rest[0] == ' ' {
		rest = rest[1:]
	}
	return rest, nil
}

// isBearer reports whether scheme is "Bearer" in any mixture of ASCII cases.
func isBearer(scheme string) bool {
	const want = "bearer"
	if len(scheme) != len(want) {
		return false
	}
	for i := range len(want) {
		// No other byte than the letter's capital becomes the letter this way.
		if scheme[i]|0x20 != want[i] {
			return false
		}
	}
	return true
}

// secondCredential reports whether a second scheme with its credential follows
// in the field, behind a comma, as in "Basic eDp5, Bearer x" and in
// "Negotiate, Bearer x". Commas between the parameters of one scheme, and
// those in quoted strings, do not count (RFC 9110 §11.4).
func secondCredential(field string) bool {
	quoted := false
	for i := 0; i < len(field); i++ {
		switch c := field[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted && startsCredential(field[i+1:]):
			return true
		}
	}
	return false
}

// startsCredential reports whether text is a token, spaces, and something that
// does not make the token the name of a parameter.
func startsCredential(text string) bool {
	text = strings.TrimLeft(text, " \t")
	n := strings.IndexAny(text, " \t,=\"")
	if n <= 0 || text[n] != ' ' {
		return false
	}
	text = strings.TrimLeft(text[n:], " ")
	return text != "" && text[0] != '=' && text[0] != ','
}
