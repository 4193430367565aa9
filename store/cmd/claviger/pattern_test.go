package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
)

// TestPatternFindsWhatIsMade makes a key and looks for it. The store is only needed
// to make it.
func TestPatternFindsWhatIsMade(t *testing.T) {
	t.Parallel()
	h := sqliteHost(t)
	for config, env := range map[string]string{
		`{"keys":{"prefix":"my_api_","environments":["live","test"]}}`: "test", `{"keys":{"prefix":"x_","layout":"fixed"}}`: "", `{}`: "",
	} {
		h.write("config.json", config)
		h.must(exitDone, "migrate")
		_, secret := h.create("keys", "create", "-org", "acme", "-environment", env)
		out := h.must(exitDone, "pattern", "-json").out
		var r rule
		if err := json.Unmarshal([]byte(strings.SplitN(out, "\n", 2)[0]), &r); err != nil {
			t.Fatal(err)
		}
		if r.Kind != keys.KindKey || !strings.HasPrefix(secret, r.Keyword) {
			t.Errorf("%s: %+v", config, r)
		}
		if got := regexp.MustCompile(r.Pattern).FindString("key=" + secret + ";"); got != strings.TrimSpace(secret) {
			t.Errorf("%s: %s does not find the key", config, r.Pattern)
		}
		for _, scanner := range []string{"gitleaks", "trufflehog"} {
			if out := h.must(exitDone, "pattern", "-for", scanner).out; !strings.Contains(out, "'"+r.Pattern+"'") || !strings.Contains(out, r.name()) {
				t.Errorf("%s:\n%s", scanner, out)
			}
		}
	}
	for _, args := range [][]string{{"-for", "nothing"}, {"-for", "gitleaks", "-json"}, {"argument"}} {
		if r := h.run("", append([]string{"pattern"}, args...)...); r.code != exitUsage {
			t.Errorf("%q: exit code %d: %s", args, r.code, r.err)
		}
	}
}
