package keys_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
)

// patterned are formats of each form, with their patterns.
var patterned = []struct {
	name   string
	format *keys.Format
	want   string
}{
	{"two environments", keys.MustFormat("vck_", keys.Dotted, &keys.FormatOptions{Environments: []string{"live", "test"}}), `vck_(?:live|test)_[0-9A-Za-z]{22}\.[0-9A-Za-z]{49}`},
	{"one environment", keys.MustFormat("vck_", keys.Dotted, &keys.FormatOptions{Environments: []string{"live"}}), `vck_live_[0-9A-Za-z]{22}\.[0-9A-Za-z]{49}`},
	{"foreign ones", keys.MustFormat("key_", keys.Dotted, &keys.FormatOptions{AllowForeign: true}), `key_[0-9A-Za-z]{22}\.[0-9A-Za-z]{49}`},
	{"fixed", keys.MustFormat("oauth_", keys.Fixed, nil), `oauth_[0-9a-f]{88}`},
	{"fixed with environments", keys.MustFormat("t_", keys.Fixed, &keys.FormatOptions{Environments: []string{"a1", "b2"}}), `t_(?:a1|b2)_[0-9a-f]{88}`},
}

// surroundings are texts that hold a credential in place of the %s.
var surroundings = []string{
	"%s", " %s ", "const key = \"%s\"", `{"key":"%s"}`, `{"text":"the key:\n%s\n"}`, "key: %s\n", "KEY=%s\n", "export KEY='%s';", "<key>%s</key>",
	"https://example.com/?key=%s&x=1", "https://example.com/?q=key%%3D%s%%26", "Authorization: Bearer %s\r\n", "`%s`", "(%s)", "%s.", "%s,%[1]s", "key_%s",
	"curl -H 'Authorization: Bearer %s' https://example.com", "-%s+", "/* %s */", "\\t%s\\t", "ключ%sключ", "\x00%s\x00", strings.Repeat("x", 100) + "%s",
}

func TestPattern(t *testing.T) {
	t.Parallel()
	for _, tt := range patterned {
		if got := tt.format.Pattern(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
			continue
		}
		pattern := regexp.MustCompile(tt.want)
		for _, env := range append(tt.format.Environments(), "") {
			c, err := tt.format.New(env)
			if err != nil {
				t.Fatal(err)
			}
			text := tt.format.Text(c).Reveal()
			for _, around := range surroundings {
				in := fmt.Sprintf(around, text)
				for _, got := range pattern.FindAllString(in, -1) {
					if got != text {
						t.Errorf("%s: found %q in %q", tt.name, got, in)
					}
				}
				if n := len(pattern.FindAllString(in, -1)); n != strings.Count(in, text) {
					t.Errorf("%s: found %d in %q", tt.name, n, in)
				}
			}
			for _, not := range []string{text[:len(text)-1], text[1:], strings.ToUpper(text[:3]) + text[3:], strings.Replace(text, "_", "-", 1), c.ID} {
				if got := pattern.FindString(not); got != "" {
					t.Errorf("%s: found %q in %q", tt.name, got, not)
				}
			}
		}
	}
	if got := keys.MustFormat("cc_", keys.Apart, nil).Pattern(); got != "" {
		t.Errorf("apart: %q", got)
	}
}

// TestPatternFindsNothingElse looks for credentials in the sources and the test data
// of Go, thousands of files in which there are none.
func TestPatternFindsNothingElse(t *testing.T) {
	t.Parallel()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	var patterns []*regexp.Regexp // one by one: each begins with a literal, which is fast
	for _, tt := range patterned {
		patterns = append(patterns, regexp.MustCompile(tt.format.Pattern()))
	}
	files := 0
	dir := filepath.Join(strings.TrimSpace(string(root)), "src")
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		if files++; testing.Short() && files > 500 {
			return fs.SkipAll
		}
		data, err := os.ReadFile(path)
		for _, p := range patterns {
			if found := p.Find(data); found != nil {
				t.Errorf("%s has %s", path, found)
			}
		}
		return err
	})
	if err != nil || files < 500 {
		t.Errorf("%d files in %s, %v", files, dir, err)
	}
}
