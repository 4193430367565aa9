package oauth

import (
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"unsafe"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
)

// maxBody is how long a body may be, in bytes.
const maxBody = 64 << 10

// badRequest returns an answer of 400 invalid_request.
func badRequest(description string) *httpjson.Refusal {
	return &httpjson.Refusal{Status: http.StatusBadRequest, Code: "invalid_request", Description: description}
}

var (
	errBody     = badRequest("The body cannot be read as what its Content-Type says.")
	errRepeated = badRequest("A parameter is there more than once, or the form is malformed.")
	errType     = badRequest("The Content-Type must be application/x-www-form-urlencoded or application/json, in UTF-8.")
	errTooLarge = &httpjson.Refusal{Status: http.StatusRequestEntityTooLarge, Code: "payload_too_large", Description: "The body is too large."}
	errCoding   = &httpjson.Refusal{Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type", Description: "The body must not be compressed."}
	errTwoWays  = badRequest("The client must authenticate in one way only.")
	errOtherID  = badRequest("The client_id is not the one in the Authorization header.")
)

// readParams reads the body of a request to one of the protocol's endpoints.
// The query is not looked at.
func readParams(r *http.Request, p *params) error {
	if httpjson.Compressed(r.Header) {
		return errCoding
	}
	name, asciiOnly := httpjson.MediaType(r.Header)
	if name != "application/x-www-form-urlencoded" && name != "application/json" {
		return errType
	}
	body, err := readBody(r)
	switch {
	case err != nil:
		return err
	case asciiOnly && !httpjson.IsASCII(bytesOf(body)):
		return errType
	case name == "application/x-www-form-urlencoded":
		if !p.readForm(body) {
			return errRepeated
		}
		return nil
	case p.readPlainJSON(body):
		return nil
	}
	return p.readJSON(body)
}

// bytesOf returns the bytes of text without a copy. They must not be changed.
func bytesOf(text string) []byte { return unsafe.Slice(unsafe.StringData(text), len(text)) }

// firstRead is how much memory a body gets before any of it is there.
const firstRead = 512

// readBody reads the whole body. Memory grows with what arrives, and not with
// what Content-Length promises.
func readBody(r *http.Request) (string, error) {
	if r.Body == nil || r.ContentLength == 0 {
		return "", nil
	}
	if r.ContentLength > maxBody {
		return "", errTooLarge
	}
	size := int64(firstRead)
	if r.ContentLength > 0 {
		size = min(size, r.ContentLength+1) // and one byte to see the end
	}
	body := make([]byte, 0, size)
	for {
		n, err := r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case len(body) > maxBody:
			return "", errTooLarge
		case err == io.EOF && r.ContentLength > 0 && int64(len(body)) != r.ContentLength:
			return "", errBody
		case err == io.EOF:
			// The bytes are not written again, so they may serve as a string.
			return unsafe.String(unsafe.SliceData(body), len(body)), nil
		case err != nil:
			return "", errBody
		}
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
	}
}

// readJSON reads a body that readPlainJSON gave up. The parameters that readPlainJSON
// has set by then are set again, to the same values.
func (p *params) readJSON(body string) error {
	var values [paramCount]*string
	fields := []httpjson.Field{httpjson.Others()}
	for i, name := range paramNames {
		fields = append(fields, httpjson.Optional(name, &values[i]))
	}
	if body == "" || httpjson.ReadObject(bytesOf(body), fields...) != nil {
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
// is a *httpjson.Refusal, or ErrInvalidClient for an Authorization header that holds
// no credentials of a client.
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

// maxBasic bounds the credentials in a field after base64 decoding, in bytes. That is
// the longest ID and the longest secret of another system's client, with each character
// escaped as three (RFC 6749 §2.3.1).
const maxBasic = 3*keys.MaxID + 1 + 3*keys.MaxLen

// parseBasic reads the field of the scheme Basic (RFC 7617), whose ID and secret
// are encoded as the values of a form (RFC 6749 §2.3.1). Many clients do not encode
// them. For the IDs and secrets of this library that makes no difference, since they
// have no character that would be escaped. A client that was imported with a % or a +
// in its secret has to encode it, or to send it in the body.
func parseBasic(field string) (id, secret string, ok bool) {
	var buf [256]byte // enough for the clients of this library
	scheme, encoded, _ := strings.Cut(field, " ")
	encoded = strings.TrimLeft(encoded, " ")
	if !strings.EqualFold(scheme, "basic") || len(scheme) != len("basic") || base64.StdEncoding.DecodedLen(len(encoded)) > maxBasic {
		return "", "", false
	}
	decoded, err := base64.StdEncoding.AppendDecode(buf[:0], []byte(encoded))
	if err != nil {
		return "", "", false
	}
	id, secret, ok = strings.Cut(string(decoded), ":")
	if !ok {
		return "", "", false
	}
	id, ok1 := unescape(id)
	secret, ok2 := unescape(secret)
	return id, secret, ok1 && ok2
}
