package oauth

import (
	"strings"
)

// A param is a parameter that an endpoint knows.
type param uint8

const (
	grantType param = iota
	clientID
	clientSecret
	scope
	token
	tokenTypeHint
	paramCount
)

var paramNames = [paramCount]string{
	"grant_type", "client_id", "client_secret", "scope", "token", "token_type_hint",
}

// params are the parameters of a request. A parameter without a value counts as
// absent (RFC 6749 §3.2).
type params struct {
	values [paramCount]string
	seen   [paramCount]bool
}

// set records a parameter. It reports false if the parameter was set before (RFC
// 6749 §3.2). Unknown parameters are ignored, however often they come.
func (p *params) set(name, value string) bool {
	i := paramOf(name)
	if i == paramCount {
		return true
	}
	if p.seen[i] {
		return false
	}
	p.seen[i], p.values[i] = true, value
	return true
}

// paramOf returns the parameter of a name, or paramCount.
func paramOf(name string) param {
	switch name {
	case "grant_type":
		return grantType
	case "client_id":
		return clientID
	case "client_secret":
		return clientSecret
	case "scope":
		return scope
	case "token":
		return token
	case "token_type_hint":
		return tokenTypeHint
	}
	return paramCount
}

// readForm reads an application/x-www-form-urlencoded body, without making a map.
// It reports false if the body is malformed, or has a known parameter twice.
func (p *params) readForm(body string) bool {
	escaped := hasEscapes(body) // hardly any body has escapes, so look once
	for body != "" {
		var pair string
		pair, body, _ = strings.Cut(body, "&")
		name, value, _ := strings.Cut(pair, "=")
		if escaped {
			var ok1, ok2 bool
			name, ok1 = unescape(name)
			value, ok2 = unescape(value)
			if !ok1 || !ok2 {
				return false
			}
		}
		if !p.set(name, value) {
			return false
		}
	}
	return true
}

// hasEscapes reports whether decoding a part of a form could change it.
func hasEscapes(text string) bool {
	return strings.IndexByte(text, '%') >= 0 || strings.IndexByte(text, '+') >= 0
}

// unescape decodes a name or a value of a form. Text without escapes is
// returned as it is.
func unescape(text string) (string, bool) {
	if !hasEscapes(text) {
		return text, true
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			if i+2 >= len(text) {
				return "", false
			}
			hi, ok1 := hexDigit(text[i+1])
			lo, ok2 := hexDigit(text[i+2])
			if !ok1 || !ok2 {
				return "", false
			}
			c = hi<<4 | lo
			i += 2
		}
		out = append(out, c)
	}
	return string(out), true
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}

// readPlainJSON reads a JSON object whose members all are known parameters with
// plain strings: ASCII without escapes. That is what clients send, and it needs
// none of package encoding/json. It reports false for everything else, good or bad;
// then httpjson.ReadObject decides.
func (p *params) readPlainJSON(body string) bool {
	rest, ok := cutByte(body, '{')
	for first := true; ok; first = false {
		if end, closed := cutByte(rest, '}'); closed && first {
			return strings.Trim(end, jsonSpace) == ""
		}
		var name, value string
		if name, rest, ok = cutString(rest); !ok || paramOf(name) == paramCount {
			return false
		}
		if rest, ok = cutByte(rest, ':'); !ok {
			return false
		}
		if value, rest, ok = cutString(rest); !ok || !p.set(name, value) {
			return false
		}
		if end, closed := cutByte(rest, '}'); closed {
			return strings.Trim(end, jsonSpace) == ""
		}
		rest, ok = cutByte(rest, ',')
	}
	return false
}

const jsonSpace = " \t\r\n"

// cutByte returns what follows c, if c is the next character after spaces.
func cutByte(text string, c byte) (string, bool) {
	text = strings.TrimLeft(text, jsonSpace)
	if text == "" || text[0] != c {
		return "", false
	}
	return text[1:], true
}

// cutString returns the plain JSON string at the start of text, and what
// follows it.
func cutString(text string) (value, rest string, ok bool) {
	if text, ok = cutByte(text, '"'); !ok {
		return "", "", false
	}
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"':
			return text[:i], text[i+1:], true
		case c == '\\' || c < ' ' || c > '~':
			return "", "", false
		}
	}
	return "", "", false
}
