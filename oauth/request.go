package oauth

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"net/http"
	"strings"
	"unsafe"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyshttp"
)

// maxBody is how long a body may be, in bytes.
const maxBody = 64 << 10

// badRequest returns an answer of 400 invalid_request.
func badRequest(description string) *keyshttp.Error {
	return &keyshttp.Error{Status: http.StatusBadRequest, Code: "invalid_request", Description: description}
}

var (
	errBody     = badRequest("The body cannot be read as what its Content-Type says.")
	errRepeated = badRequest("A parameter is there more than once, or the form is malformed.")
	errType     = badRequest("The Content-Type must be application/x-www-form-urlencoded or application/json, in UTF-8.")
	errTooLarge = &keyshttp.Error{Status: http.StatusRequestEntityTooLarge, Code: "payload_too_large", Description: "The body is too large."}
	errCoding   = &keyshttp.Error{Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type", Description: "The body must not be compressed."}
	errTwoWays  = badRequest("The client must authenticate in one way only.")
	errOtherID  = badRequest("The client_id is not the one in the Authorization header.")
)

// readParams reads the body of a request to one of the protocol's endpoints.
// The query is not looked at.
func readParams(r *http.Request, p *params) error {
	for _, coding := range r.Header["Content-Encoding"] {
		if !strings.EqualFold(coding, "identity") {
			return errCoding
		}
	}
	form, err := isForm(r.Header["Content-Type"])
	if err != nil {
		return err
	}
	body, err := readBody(r)
	if err != nil {
		return err
	}
	if form {
		if !p.readForm(body) {
			return errRepeated
		}
		return nil
	}
	if p.readPlainJSON(body) {
		return nil
	}
	*p = params{}
	return p.readJSON(r, body)
}

// isForm reports whether the media type is that of a form, and not that of
// JSON.
func isForm(types []string) (bool, error) {
	if len(types) != 1 {
		return false, errType
	}
	switch types[0] { // as clients send them
	case "application/x-www-form-urlencoded":
		return true, nil
	case "application/json":
		return false, nil
	}
	name, attributes, err := mime.ParseMediaType(types[0])
	if err != nil || name != "application/x-www-form-urlencoded" && name != "application/json" {
		return false, errType
	}
	for attribute, value := range attributes {
		if attribute == "charset" && !strings.EqualFold(value, "utf-8") {
			return false, errType
		}
	}
	return name == "application/x-www-form-urlencoded", nil
}

// readBody reads the whole body. One of a known length is read into memory of
// that size.
func readBody(r *http.Request) (string, error) {
	if r.Body == nil || r.ContentLength == 0 {
		return "", nil
	}
	if r.ContentLength > maxBody {
		return "", errTooLarge
	}
	var body []byte
	var err error
	if r.ContentLength > 0 {
		body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(r.Body, body)
	} else {
		body, err = io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	}
	switch {
	case err != nil:
		return "", errBody
	case len(body) > maxBody:
		return "", errTooLarge
	}
	// The bytes are not written again, so they may serve as a string.
	return unsafe.String(unsafe.SliceData(body), len(body)), nil
}

// readJSON reads a body that readPlainJSON did not.
func (p *params) readJSON(r *http.Request, body string) error {
	var values [paramCount]*string
	fields := []keyshttp.Field{keyshttp.Others()}
	for i, name := range paramNames {
		fields = append(fields, keyshttp.Optional(name, &values[i]))
	}
	plain := &http.Request{
		Header: http.Header{"Content-Type": {"application/json"}},
		Body:   io.NopCloser(bytes.NewReader([]byte(body))),
	}
	if err := keyshttp.ReadJSON(nil, plain, maxBody, fields...); err != nil || body == "" {
		return errBody
	}
	for i, value := range values {
		if value != nil {
			p.values[i] = *value
		}
	}
	return nil
}

// credentials returns the ID and the secret of the client that sent a request,
// by HTTP Basic or in the body (RFC 6749 §2.3.1). Either may be empty. The error
// is an answer, or ErrInvalidClient for an Authorization header that holds no
// credentials of a client.
func credentials(r *http.Request, p *params) (id string, secret keys.Secret, err error) {
	id, text := p.values[clientID], p.values[clientSecret]
	lines := r.Header["Authorization"]
	if len(lines) == 0 {
		return id, keys.NewSecret(text), nil
	}
	if len(lines) > 1 || text != "" {
		return "", keys.Secret{}, errTwoWays
	}
	basicID, basicSecret, ok := parseBasic(lines[0])
	if !ok {
		return "", keys.Secret{}, ErrInvalidClient
	}
	if id != "" && id != basicID {
		return "", keys.Secret{}, errOtherID
	}
	return basicID, keys.NewSecret(basicSecret), nil
}

// maxBasic is how long the credentials in a field can be once they are decoded:
// with every character escaped, as the strictest clients do.
const maxBasic = 3 * 128

// parseBasic reads the field of the scheme Basic (RFC 7617), whose ID and secret
// are encoded as the values of a form (RFC 6749 §2.3.1). Many clients leave out
// that step; to the characters of our IDs and secrets it makes no difference.
func parseBasic(field string) (id, secret string, ok bool) {
	var decoded [maxBasic]byte
	scheme, encoded, _ := strings.Cut(field, " ")
	encoded = strings.TrimLeft(encoded, " ")
	if !strings.EqualFold(scheme, "basic") || len(scheme) != len("basic") || base64.StdEncoding.DecodedLen(len(encoded)) > maxBasic {
		return "", "", false
	}
	n, err := base64.StdEncoding.Decode(decoded[:], []byte(encoded))
	if err != nil {
		return "", "", false
	}
	id, secret, ok = strings.Cut(string(decoded[:n]), ":")
	if !ok {
		return "", "", false
	}
	id, ok1 := unescape(id)
	secret, ok2 := unescape(secret)
	return id, secret, ok1 && ok2
}
