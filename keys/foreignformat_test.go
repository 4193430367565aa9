package keys_test

import (
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/storetest"
)

// TestForeignTexts says which format takes which text, and what costs a read.
func TestForeignTexts(t *testing.T) {
	t.Parallel()
	env := migrating(t)
	own := env.create(keys.Spec{}).Text.Reveal()
	last := "0"
	if strings.HasSuffix(own, last) {
		last = "1"
	}
	for _, tt := range []struct {
		name, text string
		want       error
		reads      int
	}{
		{"an own key", own, nil, 1},
		{"an own key with a wrong checksum", own[:len(own)-1] + last, keys.ErrMalformed, 0},
		{"a token of nobody", "oauth_" + strings.Repeat("0", 88), keys.ErrUnknown, 1},
		{"a token that is malformed", "oauth_" + strings.Repeat("z", 88), keys.ErrMalformed, 0},
		{"a short text", "tooshort", keys.ErrMalformed, 0},
		{"a text of 19 characters", strings.Repeat("a", 19), keys.ErrMalformed, 0},
		{"a text of 20 characters", strings.Repeat("a", 20), keys.ErrUnknown, 1},
		{"the longest", strings.Repeat("a", keys.MaxLen), keys.ErrUnknown, 1},
		{"a longer one", strings.Repeat("a", keys.MaxLen+1), keys.ErrMalformed, 0},
		{"a space", strings.Repeat("a", 20) + " b", keys.ErrMalformed, 0},
		{"a control character", strings.Repeat("a", 20) + "\x7f", keys.ErrMalformed, 0},
		{"no ASCII", strings.Repeat("ü", 20), keys.ErrMalformed, 0},
		{"nothing before the separator", "|" + strings.Repeat("a", 18), keys.ErrMalformed, 0},
		{"nothing behind it", strings.Repeat("a", 18) + "|", keys.ErrMalformed, 0},
		{"an ID that is too long", strings.Repeat("a", 248) + "|a", keys.ErrUnknown, 1}, // by the last format
	} {
		before := env.faults.Calls(storetest.Get)
		if _, err := env.verify(tt.text); err != tt.want {
			t.Errorf("%s: %v", tt.name, err)
		}
		if n := env.faults.Calls(storetest.Get) - before; n != tt.reads {
			t.Errorf("%s: %d reads, want %d", tt.name, n, tt.reads)
		}
	}
}

// TestForeignFormatText writes what was parsed again.
func TestForeignFormatText(t *testing.T) {
	t.Parallel()
	for _, v := range foreignVectors(t) {
		f := foreignNames[v["format"]]
		if f == nil {
			continue
		}
		c, err := f.Parse(v["text"])
		if err != nil || c.ID != v["id"] || !f.ValidID(c.ID) || f.Text(c).Reveal() != v["text"] {
			t.Errorf("%s: ID %q, written again as %q, %v", v["title"], c.ID, f.Text(c).Reveal(), err)
		}
		if c, err := f.New(""); err == nil || c.ID != "" {
			t.Errorf("%s makes keys", v["format"])
		}
	}
}

// TestOtherFormatsAreKept changes a list of formats when a manager was made.
func TestOtherFormatsAreKept(t *testing.T) {
	t.Parallel()
	list := []*keys.Format{sanctum}
	m, _ := newEnv(t, nil).over(&keys.Options{OtherFormats: list})
	list[0] = seam
	if _, err := m.Import(t.Context(), "acme", keys.NewSecret("7|"+strings.Repeat("a", 40)), keys.Spec{}); err != nil {
		t.Error(err)
	}
}

// TestForeignFormatBounds parses texts whose ID, or the part that it comes from, is as
// long or as short as it may be.
func TestForeignFormatBounds(t *testing.T) {
	t.Parallel()
	after := keys.MustForeignFormat("old_", &keys.ForeignOptions{IDFrom: keys.After('_')})
	for _, tt := range []struct {
		name   string
		format *keys.Format
		text   string
		want   error
	}{
		{"the longest ID", sanctum, strings.Repeat("a", keys.MaxID-len("sanctum_")) + "|a", nil},
		{"a longer one", sanctum, strings.Repeat("a", keys.MaxID-len("sanctum_")+1) + "|a", keys.ErrMalformed},
		{"the shortest part", after, "old_x_" + strings.Repeat("a", 20), nil},
		{"a shorter one", after, "old_x_" + strings.Repeat("a", 19), keys.ErrMalformed},
	} {
		if c, err := tt.format.Parse(tt.text); err != tt.want || len(c.ID) > keys.MaxID {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestNewForeignFormatRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, prefix string
		opts         keys.ForeignOptions
	}{
		{"no prefix", "", keys.ForeignOptions{}},
		{"a prefix without its underscore", "ba", keys.ForeignOptions{}},
		{"two separators", "ba_", keys.ForeignOptions{Separator: "||"}},
		{"a separator that is a letter", "ba_", keys.ForeignOptions{Separator: "a"}},
		{"a part that does not exist", "ba_", keys.ForeignOptions{IDFrom: "half"}},
		{"an ID from the secret", "ba_", keys.ForeignOptions{IDFrom: keys.SecretPart}},
		{"two ways to an ID", "ba_", keys.ForeignOptions{Separator: "|", IDFrom: keys.TextPart}},
	} {
		if _, err := keys.NewForeignFormat(tt.prefix, &tt.opts); err == nil {
			t.Errorf("%s: no error", tt.name)
		}
	}
	for name, o := range map[string]keys.Options{
		"a foreign format for new keys":      {Format: sanctum},
		"a foreign format for tokens":        {TokenFormat: seam},
		"a format of clients for keys":       {OtherFormats: []*keys.Format{client}},
		"no format":                          {OtherFormats: []*keys.Format{nil}},
		"a bare one before another":          {OtherFormats: []*keys.Format{bare, sanctum}},
		"a bare one before one of our own":   {OtherFormats: []*keys.Format{github, bare, keys.MustFormat("dot_", keys.Dotted, nil)}},
		"the same prefix without an ID":      {OtherFormats: []*keys.Format{keys.MustForeignFormat("acme_", nil), drf, seam}},
		"a longer prefix after a shorter":    {OtherFormats: []*keys.Format{keys.MustForeignFormat("acme_", nil), betterauth}},
		"a prefix that is also of tokens":    {OtherFormats: []*keys.Format{keys.MustForeignFormat("oauth_old_", nil)}},
		"a prefix that is also of clients":   {OtherFormats: []*keys.Format{keys.MustForeignFormat("c_", nil)}, ClientFormat: keys.MustFormat("c_x_", keys.Apart, nil)},
		"foreign keys in the layout of none": {Format: foreignClients},
	} {
		if _, err := keys.NewManager(migrating(t).store, &o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, f := range []*keys.Format{sanctum, bare} {
		if _, err := f.ForeignID(""); err != keys.ErrMalformed {
			t.Errorf("no name: %v", err)
		}
	}
	if _, err := sanctum.ForeignID("7|8"); err != keys.ErrMalformed {
		t.Errorf("a name with the separator: %v", err)
	}
}
