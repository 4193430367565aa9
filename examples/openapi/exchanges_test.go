package openapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// An exchange is a request and its answer, as the tests of partnerapi write it down.
type exchange struct {
	Method, URL string
	Header      http.Header
	Body        []byte

	Status         int
	ResponseHeader http.Header
	ResponseBody   []byte
}

func (x *exchange) String() string {
	return fmt.Sprintf("%s %s %.200s\n\t%d %v %.500s", x.Method, x.URL, x.Body, x.Status, x.ResponseHeader, x.ResponseBody)
}

// request returns the request for the validator.
func (x *exchange) request(t *testing.T) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), x.Method, "http://127.0.0.1"+x.URL, bytes.NewReader(x.Body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = x.Header
	return r
}

// response returns the answer for the validator.
func (x *exchange) response() *http.Response {
	return &http.Response{StatusCode: x.Status, Header: x.ResponseHeader, Body: io.NopCloser(bytes.NewReader(x.ResponseBody))}
}

// recorded is what the tests of partnerapi wrote down.
type recorded struct {
	exchanges []*exchange
	document  []byte // the OpenAPI document that partnerapi serves
}

// recording runs the tests of partnerapi, once.
func recording(t *testing.T) *recorded {
	t.Helper()
	if testing.Short() {
		t.Skip("it builds and runs the tests of partnerapi")
	}
	r, err := record()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var record = sync.OnceValues(func() (*recorded, error) {
	if file := os.Getenv("PARTNERAPI_EXCHANGES"); file != "" { // they were run before
		return read(file)
	}
	dir, err := os.MkdirTemp("", "exchanges")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "exchanges")
	// Tests of several processes, and of other stores, write nothing down.
	cmd := exec.Command("go", "test", "-count=1", "-skip", "^Test(Stores|Nodes.*|LimitsAlone)$", "./partnerapi")
	cmd.Dir = ".." // in the module of the examples
	cmd.Env = append(os.Environ(), "PARTNERAPI_EXCHANGES="+file)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("the tests of partnerapi: %w\n%s", err, out)
	}
	return read(file)
})

func read(file string) (*recorded, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := new(recorded)
	for line := range bytes.Lines(data) {
		x := new(exchange)
		if err := json.Unmarshal(line, x); err != nil {
			return nil, err
		}
		if x.URL == "/openapi.json" && x.Status == http.StatusOK {
			r.document = x.ResponseBody
		}
		r.exchanges = append(r.exchanges, x)
	}
	if len(r.exchanges) < 1000 || r.document == nil {
		return nil, fmt.Errorf("%d exchanges, and a document of %d bytes", len(r.exchanges), len(r.document))
	}
	return r, nil
}

// A spec is an OpenAPI document, taken apart.
type spec map[string]any

func parse(t *testing.T, text []byte) (s spec) {
	t.Helper()
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// at returns the object at a path of names with slashes between them, in which ~1
// stands for a slash (RFC 6901).
func (s spec) at(pointer string) map[string]any {
	v := map[string]any(s)
	for name := range strings.SplitSeq(pointer, "/") {
		v, _ = v[strings.ReplaceAll(name, "~1", "/")].(map[string]any)
	}
	return v
}

// resolve follows a reference.
func (s spec) resolve(v map[string]any) map[string]any {
	for v["$ref"] != nil {
		v = s.at(strings.TrimPrefix(v["$ref"].(string), "#/"))
	}
	return v
}

// find returns the operation of an exchange and its name, or nil if there is none.
func (s spec) find(x *exchange) (operation map[string]any, name string) {
	path, _, _ := strings.Cut(x.URL, "?")
	for template, item := range s.at("paths") {
		if matches(template, path) {
			operation, _ = item.(map[string]any)[strings.ToLower(x.Method)].(map[string]any)
			if operation != nil {
				name = operation["operationId"].(string)
			}
			return operation, name
		}
	}
	return nil, ""
}

func matches(template, path string) bool {
	names, parts := strings.Split(template, "/"), strings.Split(path, "/")
	return slices.EqualFunc(names, parts, func(name, part string) bool {
		return name == part || strings.HasPrefix(name, "{") && part != ""
	})
}
