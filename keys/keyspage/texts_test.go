package keyspage_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyspage"
)

var update = flag.Bool("update", false, "write the list of texts anew")

// texts match those in sources.
var (
	inGo        = regexp.MustCompile(`\b[nT]\("((?:[^"\\]|\\.)*)"`)
	inTemplates = regexp.MustCompile(`\.T "((?:[^"\\]|\\.)*)"`)
)

// TestTexts compares the list of texts with those in the sources.
func TestTexts(t *testing.T) {
	t.Parallel()
	found := make(map[string]bool)
	for pattern, expression := range map[string]*regexp.Regexp{"*.go": inGo, "templates/*.html": inTemplates} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatal(pattern, err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			source, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range expression.FindAllStringSubmatch(string(source), -1) {
				found[strings.ReplaceAll(m[1], `\"`, `"`)] = true
			}
		}
	}
	want := slices.Sorted(maps.Keys(found))
	if *update {
		if err := os.WriteFile("texts.txt", []byte(strings.Join(want, "\n")+"\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, keyspage.Texts()); diff != "" {
		t.Errorf("texts.txt is not what the sources have; run with -update\n%s", diff)
	}
}

// TestText shows every page in another language, and looks for English.
func TestText(t *testing.T) {
	t.Parallel()
	known := make(map[string]bool)
	for _, text := range keyspage.Texts() {
		known[text] = true
	}
	reader := make(chan string, 1)
	h := newHostWith(t, keys.Options{Trail: true}, keyspage.Options{Text: func(ctx context.Context, format string, args ...any) string {
		if !known[format] {
			t.Errorf("%q is not among the texts", format)
		}
		if p, ok := keys.FromContext(ctx); ok && len(reader) == 0 {
			reader <- p.ID
		}
		switch format {
		case "en":
			return "tlh"
		case "2 Jan 2006, 15:04 MST":
			return "2006"
		}
		if verbs := strings.Count(format, "%"); verbs != len(args) {
			t.Errorf("%q gets %d arguments", format, len(args))
		}
		return "‹" + fmt.Sprint(args...) + "›"
	}})
	key := h.issue(keys.Spec{Label: "ci", Lifetime: keys.MaxTokenLifetime, CreatedBy: "host:test"})
	child := h.issue(keys.Spec{CreatedBy: key.Record.ID})
	client := h.issue(keys.Spec{Kind: keys.KindClient, Label: "ci"})
	at, atClient := "/manage/keys/"+key.Record.ID, "/manage/clients/"+client.Record.ID
	for _, action := range []keys.Action{keys.ActionChanged, keys.ActionPaused, keys.ActionResumed, keys.ActionRotated, keys.ActionRevoked} {
		h.note("acme", keys.Entry{Action: action, ID: key.Record.ID, Fields: everyField, Reason: keys.ReasonTakenBack})
	}
	for _, reason := range everyReason {
		h.note("acme", keys.Entry{Action: keys.ActionRefused, ID: key.Record.ID, Reason: reason, Count: int64(len(reason) % 2)})
	}
	letters := regexp.MustCompile(`\p{L}{3,}`)
	for _, path := range []string{
		"/manage/keys", "/manage/keys?q=none", "/manage/new/keys", at, at + "?done=changed", at + "/edit", at + "/rotate", at + "/revoke",
		"/manage/clients", "/manage/new/clients", atClient, atClient + "/edit", atClient + "/rotate", atClient + "/revoke", "/manage/keys/none",
	} {
		p := h.get(anna, path)
		if !strings.Contains(p.body, `lang="tlh"`) {
			t.Errorf("%s: not in the language: %s", path, p.body)
		}
		text := p.text()
		for _, name := range []string{
			key.Record.ID, child.Record.ID, client.Record.ID, "ci", "host:test", "live", "test", "none", "identity:read", "keys:manage", "webhooks:manage",
			"Read who you are", "Manage keys", "Manage webhooks", "anna", `id="kp-main" tabindex="-1"`,
		} {
			text = strings.ReplaceAll(text, name, "")
		}
		if left := letters.FindAllString(text, -1); left != nil {
			t.Errorf("%s: not translated: %q", path, left)
		}
	}
	if id := <-reader; id != "anna" {
		t.Errorf("the texts were for %q", id)
	}
}
