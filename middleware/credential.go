package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// A Source is a header field in which a credential may be. Queries and bodies are no
// sources, since they end up in logs and links. Cookies are none, since browsers send
// them with requests that other sites make.
//
// Caches that several clients share store no answer to a request with Authorization,
// unless the answer allows that (RFC 9111 §3.5). They know nothing of other fields. So
// handlers set Cache-Control, such as "private", if the credential is in another field.
type Source struct {
	// Header is the name of the field, such as "Authorization" or "X-API-Key",
	// in any case.
	Header string

	// Scheme is the authentication scheme in front of the credential (RFC 9110
	// §11.4), such as "Bearer", in any case. If empty, the field has the
	// credential alone.
	Scheme string
}

// bearer is the default source (RFC 6750 §2.1).
var bearer = Source{Header: "Authorization", Scheme: "Bearer"}

// sources are the places where a guard looks for a credential.
type sources []field

// A field is a header field that may have a credential.
type field struct {
	header  string   // in canonical form
	name    string   // as the host writes it
	schemes []string // one of them stands in front of the credential; none if empty
}

// newSources returns the sources of a list, and bearer alone if it is empty.
func newSources(list []Source) (sources, error) {
	if len(list) == 0 {
		list = []Source{bearer}
	}
	var all sources
	for _, s := range list {
		if !isToken(s.Header) || s.Scheme != "" && !isToken(s.Scheme) {
			return nil, fmt.Errorf("middleware: %q with the scheme %q is no source of credentials", s.Header, s.Scheme)
		}
		header := http.CanonicalHeaderKey(s.Header)
		i := slices.IndexFunc(all, func(f field) bool { return f.header == header })
		if i < 0 {
			i, all = len(all), append(all, field{header: header, name: s.Header})
		} else if s.Scheme == "" || len(all[i].schemes) == 0 {
			return nil, errors.New("middleware: one field cannot have a credential both with a scheme and without")
		}
		if s.Scheme != "" {
			all[i].schemes = append(all[i].schemes, s.Scheme)
		}
	}
	return all, nil
}

// scheme returns the authentication scheme for challenges.
func (all sources) scheme() string {
	for _, f := range all {
		if f.header == "Authorization" && len(f.schemes) > 0 {
			return f.schemes[0]
		}
	}
	return "ApiKey" // not registered, but every 401 needs one
}

// advice tells people where a credential belongs.
func (all sources) advice() string {
	as := ""
	if f := all[0]; len(f.schemes) > 0 {
		as = "as a " + f.schemes[0] + " credential "
	}
	return "Send an API key or an access token " + as + "in the " + all[0].name + " header."
}

// find returns the one credential in a header. Two lines are two credentials,
// whatever they are.
func (all sources) find(h http.Header) (string, error) {
	var line string
	var from *field
	count := 0
	for i := range all {
		if lines := h[all[i].header]; len(lines) > 0 {
			count += len(lines)
			line, from = lines[0], &all[i]
		}
	}
	switch count {
	case 0:
		return "", ErrNoCredential
	case 1:
		return from.read(line)
	}
	return "", ErrSeveralCredentials
}

// remove takes all credentials out of a header.
func (all sources) remove(h http.Header) {
	for i := range all {
		delete(h, all[i].header)
	}
}

// read returns the credential in a line. It may be any text: the verifier says whether
// it is a credential.
func (f *field) read(line string) (string, error) {
	if len(f.schemes) == 0 {
		return line, nil
	}
	if strings.IndexByte(line, ',') >= 0 && secondCredential(line) {
		return "", ErrSeveralCredentials
	}
	scheme, text, _ := strings.Cut(line, " ")
	for _, s := range f.schemes {
		if equalFold(scheme, s) {
			return strings.TrimLeft(text, " "), nil
		}
	}
	return "", ErrNoCredential
}

// Bearer returns the one credential in the lines of an Authorization field (RFC
// 6750 §2.1), for [Guard.CheckText]: in gRPC they are the values of the metadata
// "authorization". The error is [ErrNoCredential] if there are no lines, or the
// scheme is another one, and [ErrSeveralCredentials] if there are several lines, or
// several credentials in one. The text may be empty; the Guard then refuses it.
func Bearer(lines []string) (string, error) {
	switch len(lines) {
	case 0:
		return "", ErrNoCredential
	case 1:
		return defaultField.read(lines[0])
	}
	return "", ErrSeveralCredentials
}

var defaultField = field{schemes: []string{bearer.Scheme}}

// equalFold reports whether text is a name in ASCII, in any case. Other letters that
// package strings folds to ASCII, such as U+017F, are longer than one byte.
func equalFold(text, name string) bool {
	return text == name || len(text) == len(name) && strings.EqualFold(text, name)
}

// isToken reports whether text is a token, as the names of fields and schemes
// are (RFC 9110 §5.6.2).
func isToken(text string) bool {
	for _, c := range []byte(text) {
		lower := c | 0x20
		if (c < '0' || c > '9') && (lower < 'a' || lower > 'z') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return text != ""
}

// secondCredential reports whether a second scheme with its credential follows
// in the line, behind a comma, as in "Basic eDp5, Bearer x" and in
// "Negotiate, Bearer x". Commas between the parameters of one scheme, and
// those in quoted strings, do not count (RFC 9110 §11.4).
func secondCredential(line string) bool {
	quoted := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted && startsCredential(line[i+1:]):
			return true
		}
	}
	return false
}

// startsCredential reports whether text begins with a scheme and a credential: a
// token, spaces, and something other than "=" or ",". With "=" the token would be the
// name of a parameter.
func startsCredential(text string) bool {
	text = strings.TrimLeft(text, " \t")
	n := strings.IndexAny(text, " \t,=\"")
	if n < 0 || text[n] != ' ' {
		return false
	}
	text = strings.TrimLeft(text[n:], " ")
	return text != "" && text[0] != '=' && text[0] != ','
}
