package httpjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// DefaultMaxBody is the default bound on the length of a request's body, in bytes.
const DefaultMaxBody = 64 << 10

// A Field is a member that an object read by [Read] may have. [Optional] and
// [Others] make fields.
type Field struct {
	name   string
	into   any // **string, **bool, **int64, **[]string or **json.RawMessage
	others bool
}

// Optional returns a field with the given name: a string, a boolean, an integer, an
// array of strings, or for json.RawMessage an object. If the body has the member,
// *into is set to a new value. Otherwise *into stays as it is, so nil means absent. A
// json.RawMessage is set to the object without the spaces between its parts; the
// members of that object are not checked.
func Optional[T string | bool | int64 | []string | json.RawMessage](name string, into **T) Field {
	return Field{name: name, into: into}
}

// Others returns a field that stands for all names without a field of their own. With
// it [Read] ignores such members. Without it they are refused.
func Others() Field { return Field{others: true} }

// Read reads the body of a request as one JSON object with the given fields. It
// is stricter than package encoding/json: names are compared byte by byte, and
// a name that is there twice is refused. So are unknown names (see [Others]),
// null, data after the object, and invalid UTF-8. An empty body counts as an object
// without members, whatever its type.
//
// At most limit bytes are read; a limit below 1 stands for [DefaultMaxBody]. If the
// body is longer, the ResponseWriter is told to close the connection. It may be nil.
//
// The error is a [*Refusal], ready for [Refuse], that does not quote the body:
//
//   - 400 invalid_request: the body is not such an object;
//   - 413 payload_too_large;
//   - 415 unsupported_media_type: the Content-Type is not application/json, or
//     labels text that is not ASCII with another charset than UTF-8 (see
//     [MediaType]), or the body is compressed;
//   - 422 invalid_value: a number is not an integer of 64 bits (1.0 and 1e3 do not
//     count as integers), or a string has half a surrogate pair and so is not valid
//     text.
//
// After an error, some fields may be set.
func Read(w http.ResponseWriter, r *http.Request, limit int64, fields ...Field) error {
	if r.Body == nil {
		return nil
	}
	if limit < 1 {
		limit = DefaultMaxBody
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if len(data) == 0 && err == nil {
		return nil
	}
	name, asciiOnly := MediaType(r.Header)
	if name != "application/json" || Compressed(r.Header) || asciiOnly && !IsASCII(data) {
		return &Refusal{
			Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type",
			Description: "the body must be application/json, in UTF-8 and not compressed",
		}
	}
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return &Refusal{
			Status: http.StatusRequestEntityTooLarge, Code: "payload_too_large",
			Description: "the body is too large",
		}
	}
	if err != nil {
		return invalidRequest("the body cannot be read")
	}
	return ReadObject(data, fields...)
}

// ReadObject reads data as [Read] reads a body, and returns the same errors with the
// status 400 and 422. Empty data is no object.
func ReadObject(data []byte, fields ...Field) error {
	if e := readObject(data, fields); e != nil {
		return e
	}
	return nil
}

// readObject is ReadObject, with the type of the error.
func readObject(data []byte, fields []Field) *Refusal {
	// From here on the text is known to be valid JSON, so no part of it is missing.
	if !utf8.Valid(data) || !json.Valid(data) {
		return invalidRequest("the body is not valid JSON")
	}
	text := skipSpace(data)
	if text[0] != '{' {
		return invalidRequest("the body is not a JSON object")
	}
	others := slices.ContainsFunc(fields, func(f Field) bool { return f.others })
	seen := make(map[string]bool, len(fields))
	for text = skipSpace(text[1:]); text[0] != '}'; {
		n := valueLen(text)
		name := unquote(text[:n])
		text = skipSpace(skipSpace(text[n:])[1:]) // the colon
		n = valueLen(text)
		value := text[:n]
		if text = skipSpace(text[n:]); text[0] == ',' {
			text = skipSpace(text[1:])
		}
		if seen[name] {
			return invalidRequest("the body has a member twice")
		}
		seen[name] = true
		i := slices.IndexFunc(fields, func(f Field) bool { return !f.others && f.name == name })
		if i < 0 && !others {
			return invalidRequest("the body has a member that is not known here")
		}
		if i >= 0 {
			if e := fields[i].set(value); e != nil {
				return e
			}
		}
	}
	return nil
}

func skipSpace(text []byte) []byte { return bytes.TrimLeft(text, " \t\r\n") }

// valueLen returns the length of the value at the start of text, which is valid and
// inside an object.
func valueLen(text []byte) int {
	depth := 0
	for i := 0; ; i++ {
		switch text[i] {
		case '"':
			for i++; text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // after a number or a word, the end of the object
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
	}
}

// unquote returns the text of a valid string.
func unquote(quoted []byte) (text string) {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	_ = json.Unmarshal(quoted, &text) // no error, since the text is valid
	return text
}

// set sets the variable of f to a valid JSON value.
func (f Field) set(value json.RawMessage) *Refusal {
	switch into := f.into.(type) {
	case **string:
		return assign(into, value, f.name, '"')
	case **[]string:
		return assign(into, value, f.name, '[')
	case **int64:
		return f.setInteger(into, value)
	case **json.RawMessage:
		return f.setObject(into, value)
	case **bool:
		return assign(into, value, f.name, 't', 'f')
	}
	panic("httpjson: Field was not made by Optional or Others")
}

func (f Field) setInteger(into **int64, value json.RawMessage) *Refusal {
	if value[0] != '-' && (value[0] < '0' || value[0] > '9') {
		return invalidRequest(f.name + " is not of the right type")
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		return invalidValue(f.name + " is not an integer, or is out of bounds")
	}
	*into = &n
	return nil
}

func (f Field) setObject(into **json.RawMessage, value json.RawMessage) *Refusal {
	if value[0] != '{' {
		return invalidRequest(f.name + " is not of the right type")
	}
	if halfPair(value) {
		return invalidValue(f.name + " is not valid text")
	}
	var compact bytes.Buffer
	_ = json.Compact(&compact, value) // no error, since the text is valid
	object := json.RawMessage(compact.Bytes())
	*into = &object
	return nil
}

// assign decodes a value that must begin with one of the given bytes.
func assign[T any](into **T, value json.RawMessage, name string, starts ...byte) *Refusal {
	v := new(T)
	if slices.Index(starts, value[0]) < 0 || holdsNull(value) || json.Unmarshal(value, v) != nil {
		return invalidRequest(name + " is not of the right type")
	}
	if halfPair(value) {
		return invalidValue(name + " is not valid text")
	}
	*into = v
	return nil
}

// holdsNull reports whether a valid value is an array with a null, which
// encoding/json would take for an empty string.
func holdsNull(value json.RawMessage) bool {
	var elements []*json.RawMessage
	return value[0] == '[' && json.Unmarshal(value, &elements) == nil && slices.Contains(elements, nil)
}

// halfPair reports whether a valid value has an escape for half a UTF-16 surrogate
// pair without the other half in the next escape. Only strings have escapes, so it
// need not know where strings begin and end.
func halfPair(value []byte) bool {
	for {
		i := bytes.IndexByte(value, '\\')
		if i < 0 {
			return false
		}
		value = value[i:]
		unit, ok := escapedUnit(value)
		switch {
		case !ok:
			value = value[2:] // a backslash and what it escapes
		case !utf16.IsSurrogate(unit):
			value = value[6:]
		default:
			next, _ := escapedUnit(value[6:])
			if utf16.DecodeRune(unit, next) == utf8.RuneError {
				return true
			}
			value = value[12:]
		}
	}
}

// escapedUnit reads an escape of the form \uXXXX at the start of text.
func escapedUnit(text []byte) (rune, bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	return rune(n), err == nil
}
