package openapi_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi-validator/errors"
)

// newValidator returns a validator for a document.
func newValidator(t *testing.T, text []byte) validator.Validator {
	t.Helper()
	parsed, err := libopenapi.NewDocument(text)
	if err != nil {
		t.Fatal(err)
	}
	v, errs := validator.NewValidator(parsed,
		config.WithFormatAssertions(), config.WithURLEncodedBodyValidation(), config.WithRejectUnsupportedBodyContent(),
		// Nothing may be in an answer that the document does not name.
		config.WithStrictMode(),
		config.WithStrictIgnorePaths(
			"$.body.metadata.**",
			"$.body.authorization_endpoint",                                                               // which this host adds
			"$.body.info**", "$.body.paths**", "$.body.components**", "$.body.servers**", "$.body.tags**", // the document itself
		),
		config.WithStrictIgnoredHeaders("cache-control", "content-type", "x-content-type-options", "pragma", "date", "content-length", "connection", "authorization", "accept-encoding", "user-agent", "content-encoding"),
	)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return v
}

// faults returns what is wrong with an exchange by the document.
func faults(t *testing.T, v validator.Validator, s spec, x *exchange) (list []string) {
	t.Helper()
	operation, _ := s.find(x)
	if operation == nil {
		if x.Status != 404 && x.Status != 405 {
			list = append(list, "the document has no such operation")
		}
		return list
	}
	note := func(what string, errs []*errors.ValidationError) {
		for _, e := range errs {
			var text strings.Builder
			text.WriteString(what + ": " + e.Message + ": " + e.Reason)
			for _, s := range e.SchemaValidationErrors {
				text.WriteString("; " + s.Reason)
			}
			list = append(list, text.String())
		}
	}
	if ok, errs := v.ValidateHttpResponse(x.request(t), x.response()); !ok {
		note("answer", errs)
	}
	if x.Status < 300 { // requests that are refused may be anything
		if ok, errs := v.ValidateHttpRequestSync(x.request(t)); !ok {
			note("request", errs)
		}
	}
	return list
}

func TestDocumentIsValid(t *testing.T) {
	t.Parallel()
	if ok, errs := newValidator(t, recording(t).document).ValidateDocument(); !ok {
		for _, e := range errs {
			t.Errorf("%s: %s", e.Message, e.Reason)
			for _, s := range e.SchemaValidationErrors {
				t.Errorf("\t%s at %s", s.Reason, s.FieldPath)
			}
		}
	}
}

// TestExchanges validates every exchange.
func TestExchanges(t *testing.T) {
	t.Parallel()
	r := recording(t)
	v, s := newValidator(t, r.document), parse(t, r.document)
	failed := 0
	for _, x := range r.exchanges {
		if list := faults(t, v, s, x); len(list) > 0 {
			if failed++; failed <= 20 {
				t.Errorf("%s\n\t%s", x, strings.Join(list, "\n\t"))
			}
		}
	}
	t.Logf("%d of %d exchanges are not as the document has them", failed, len(r.exchanges))
}

// TestCoverage checks that each operation was answered with each status that the
// document has for it, and lists them.
func TestCoverage(t *testing.T) {
	t.Parallel()
	r := recording(t)
	s := parse(t, r.document)
	seen := make(map[string]int)
	for _, x := range r.exchanges {
		if _, name := s.find(x); name != "" {
			seen[fmt.Sprint(name, " ", x.Status)]++
		}
	}
	documented, operations := 0, 0
	for _, item := range s.at("paths") {
		for method, operation := range item.(map[string]any) {
			if method == "parameters" {
				continue
			}
			operations++
			o := operation.(map[string]any)
			var list []string
			for _, status := range slices.Sorted(maps.Keys(o["responses"].(map[string]any))) {
				documented++
				n := seen[fmt.Sprint(o["operationId"], " ", status)]
				list = append(list, fmt.Sprintf("%s×%d", status, n))
				if n == 0 {
					t.Errorf("%s was never answered with %s", o["operationId"], status)
				}
			}
			t.Logf("%s: %s", o["operationId"], strings.Join(list, " "))
		}
	}
	t.Logf("%d answers of %d operations", documented, operations)
}
