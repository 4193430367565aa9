package keys_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
)

func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	const text = "hunter2-hunter2-hunter2"
	s := keys.NewSecret(text)
	type hidden struct {
		S keys.Secret
		s keys.Secret
		p *keys.Secret
	}
	holder := hidden{s, s, &s}
	issued := keys.Issued{Text: s}
	token := keys.Credential{ID: "vck_1", Secret: s}
	pepper := keys.Pepper{Name: "p", Key: s}
	options := keys.Options{Peppers: []keys.Pepper{pepper}}

	var out bytes.Buffer
	for _, v := range []any{s, &s, holder, &holder, issued, token, pepper, options, []keys.Secret{s}, map[string]keys.Secret{"a": s}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%T", "%5.3s", "%p"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(handler).Info("message", "value", v)
		}
		if data, err := json.Marshal(v); err == nil {
			out.Write(data)
		}
	}
	if data, err := xml.Marshal(struct{ S keys.Secret }{s}); err == nil {
		out.Write(data)
	}
	hex := fmt.Sprintf("%x", text)
	for _, leak := range []string{text, hex, strings.ToUpper(hex), fmt.Sprint([]byte(text))[1:20]} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("%q was printed", leak)
		}
	}
	if s.Reveal() != text || s.Len() != len(text) || s.String() != "[redacted]" {
		t.Errorf("Reveal %q, Len %d, String %q", s.Reveal(), s.Len(), s)
	}
}

func TestZeroSecret(t *testing.T) {
	t.Parallel()
	for _, s := range []keys.Secret{{}, keys.NewSecret("")} {
		if s.Reveal() != "" || s.Len() != 0 || s.String() != "[redacted]" {
			t.Errorf("the empty secret: %q, %d, %q", s.Reveal(), s.Len(), s)
		}
	}
}
