package main

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"github.com/claviger-auth/claviger/keys"
)

var patternCommand = command{
	name: "pattern", brief: "print the patterns by which scanners find leaked keys and tokens",
	setup: func(fs *flag.FlagSet) action {
		scanner := fs.String("for", "", "print them as rules of this `scanner`: gitleaks or trufflehog")
		return func(_ context.Context, s *session, _ []string) error { return s.pattern(*scanner) }
	},
}

// A rule finds the credentials of one kind.
type rule struct {
	Kind    keys.Kind `json:"kind"`
	Keyword string    `json:"keyword"` // what all of them have in them
	Pattern string    `json:"pattern"`
}

// name returns a name for rules, such as "vck-key".
func (r *rule) name() string {
	return strings.ReplaceAll(strings.Trim(r.Keyword, "_"), "_", "-") + "-" + string(r.Kind)
}

func (s *session) pattern(scanner string) error {
	if err := s.needConfiguration("pattern"); err != nil {
		return err
	}
	var rules []rule
	for i, f := range s.formats()[:2] {
		rules = append(rules, rule{[...]keys.Kind{keys.KindKey, keys.KindToken}[i], f.Prefix(), f.Pattern()})
	}
	if scanner != "" && s.json {
		return usageError("-for and -json exclude each other")
	}
	switch scanner {
	case "":
		return s.printRules(rules)
	case "gitleaks":
		for i := range rules {
			r := &rules[i]
			fmt.Fprintf(s.stdout, "[[rules]]\nid = %q\ndescription = \"A leaked %s, which whoever finds it can use\"\nregex = '''%s'''\nkeywords = [%q]\n",
				r.name(), r.Kind, r.Pattern, r.Keyword)
		}
	case "trufflehog":
		fmt.Fprintln(s.stdout, "detectors:")
		for i := range rules {
			r := &rules[i]
			fmt.Fprintf(s.stdout, "  - name: %s\n    keywords: [%s]\n    regex:\n      %s: '%s'\n", r.name(), r.Keyword, r.Kind, r.Pattern)
		}
	default:
		return usageError("-for is not gitleaks or trufflehog")
	}
	return nil // the output remembers errors
}

func (s *session) printRules(rules []rule) error {
	if s.json {
		for _, r := range rules {
			if err := s.printJSON(r); err != nil {
				return err
			}
		}
		return nil
	}
	t := newTable(s.stdout, "KIND", "PATTERN")
	for _, r := range rules {
		t.row(string(r.Kind), r.Pattern)
	}
	t.end()
	return nil
}
