package httpjson

import (
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"
)

// MediaType returns the media type that Content-Type says a body has, in lower
// case and without parameters, such as "application/json" or
// "application/x-www-form-urlencoded". It returns "" if the field is missing, is
// there more than once, or is malformed (RFC 9110 §8.3).
//
// JSON is always in UTF-8 (RFC 8259 §8.1), and so are forms. Some clients still label
// them with another charset, such as ISO-8859-1. That does no harm if every byte is
// ASCII, and otherwise nobody knows what the client meant. So asciiOnly reports that
// there is a label other than UTF-8; then a body for which [IsASCII] is false must be
// refused. Other parameters are ignored.
func MediaType(h http.Header) (name string, asciiOnly bool) {
	lines := h["Content-Type"]
	if len(lines) != 1 {
		return "", false
	}
	switch lines[0] { // as most clients send them
	case "application/json", "application/x-www-form-urlencoded":
		return lines[0], false
	}
	name, parameters, err := mime.ParseMediaType(lines[0])
	if err != nil {
		return "", false
	}
	charset, labelled := parameters["charset"]
	return name, labelled && !strings.EqualFold(charset, "utf-8")
}

// IsASCII reports whether every byte of body is ASCII.
func IsASCII(body []byte) bool {
	for _, c := range body {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// Compressed reports whether Content-Encoding names a coding other than identity (RFC
// 9110 §8.4). The handlers of this module refuse such bodies, since a few compressed
// bytes can stand for very many.
func Compressed(h http.Header) bool {
	for _, coding := range h["Content-Encoding"] {
		if !strings.EqualFold(coding, "identity") {
			return true
		}
	}
	return false
}
