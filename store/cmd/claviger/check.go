package main

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

var checkCommand = command{
	name: "check", brief: "look whether the store and its settings are fit",
	setup: func(fs *flag.FlagSet) action {
		limits := fs.Bool("limits", false, "the store keeps limits alone, and may lose them")
		return func(ctx context.Context, s *session, _ []string) error { return s.check(ctx, *limits) }
	},
}

// A finding is what check says of one matter.
type finding struct {
	Matter string `json:"matter"`
	Result string `json:"result"` // "ok", "warning" or "wrong"
	Detail string `json:"detail"`
}

const (
	ok      = "ok"
	warning = "warning"
	wrong   = "wrong"
)

// maxSkew is how far the clocks may be apart without a warning. A clock that is
// off moves the end of what expires by as much.
const maxSkew = time.Second

// check looks at all matters, and prints what it finds.
func (s *session) check(ctx context.Context, limitsAlone bool) error {
	if err := s.connect(ctx); err != nil {
		return err
	}
	found := []finding{s.checkConfig()}
	version, err := s.db.version(ctx)
	if err != nil {
		// The rest would say the same again.
		return s.printFindings(append(found, finding{"server", wrong, err.Error()}))
	}
	found = append(found, finding{"server", ok, version})
	found = append(found, s.checkStore(ctx, limitsAlone)...)
	found = append(found, s.checkClock(ctx))
	if !limitsAlone {
		if store, err := s.db.open(ctx); err == nil {
			found = append(found, s.checkCaches(ctx, store))
			found = append(found, s.checkForms(ctx, store)...)
		}
	}
	return s.printFindings(found)
}

// checkConfig says what the configuration is.
func (s *session) checkConfig() finding {
	opts := *s.options
	opts.Trail = false // whether the store can keep one, noStore cannot say
	if _, err := keys.NewVerifier(noStore{}, &opts); err != nil {
		return finding{"configuration", wrong, err.Error()}
	}
	if !s.conf.given {
		return finding{"configuration", warning, "none: commands that make credentials need one"}
	}
	f := s.formats()[0]
	parts := []string{"keys " + f.Prefix() + "…"}
	if environments := f.Environments(); len(environments) > 0 {
		parts[0] += " (" + strings.Join(environments, ", ") + ")"
	}
	parts = append(parts, count(len(s.options.Catalog.Scopes()), "scope"), count(len(s.options.Peppers), "pepper"))
	if s.options.Trail {
		parts = append(parts, "a trail")
	}
	return finding{"configuration", ok, strings.Join(parts, ", ")}
}

// checkStore says what the store says of itself, a finding for each of its errors.
func (s *session) checkStore(ctx context.Context, limitsAlone bool) (found []finding) {
	err := s.db.check(ctx, limitsAlone)
	if err == nil {
		return []finding{{"settings", ok, "what the store needs"}}
	}
	errs := []error{err}
	if several, ok := err.(interface{ Unwrap() []error }); ok && strings.Contains(err.Error(), "\n") {
		errs = several.Unwrap()
	}
	for _, err := range errs {
		for line := range strings.Lines(err.Error()) {
			found = append(found, finding{"settings", severity(err), strings.TrimSpace(line)})
		}
	}
	return found
}

// checkClock compares this machine's clock with the server's. It takes the server's
// time as that of the middle of the call, and uses the shortest of three calls.
func (s *session) checkClock(ctx context.Context) finding {
	var skew, best time.Duration
	for try := range 3 {
		before := time.Now()
		server, err := s.db.now(ctx)
		took := time.Since(before)
		switch {
		case err != nil:
			return finding{"clock", wrong, err.Error()}
		case server.IsZero():
			return finding{"clock", ok, "this machine's"}
		}
		if try == 0 || took < best {
			skew, best = server.Sub(before.Add(took/2)), took
		}
	}
	result := ok
	if skew.Abs() > maxSkew {
		result = warning
	}
	direction := "ahead of"
	if skew < 0 {
		direction = "behind"
	}
	return finding{"clock", result, fmt.Sprintf("the server is %v %s this machine, give or take %v",
		skew.Abs().Round(time.Millisecond), direction, (best/2 + time.Millisecond - 1).Truncate(time.Millisecond))}
}

// checkCaches says whether processes have caches of records, and so how long changes
// wait for them.
func (s *session) checkCaches(ctx context.Context, store keys.Store) finding {
	feed, has := store.(keys.Feed)
	if !has {
		return finding{"caches", ok, "the store has no feed, so there are none"}
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	lease, err := feed.LongestLease(ctx)
	switch {
	case err != nil:
		return finding{"caches", wrong, err.Error()}
	case lease == 0:
		return finding{"caches", ok, "none are announced"}
	}
	return finding{"caches", ok, fmt.Sprintf("the longest lease that is announced is %v, so calls that revoke, change or rotate take %v", lease, lease+lease/5)}
}

// checkForms says whether keys of the first organization have the form that the
// configuration says. If not, the configuration is probably another host's.
func (s *session) checkForms(ctx context.Context, store keys.Store) []finding {
	orgs, has := store.(keys.OrgStore)
	if !has || !s.conf.given {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	first, err := orgs.Orgs(ctx, "", 1)
	if err != nil || len(first) == 0 {
		return nil
	}
	page, err := store.List(ctx, keys.Query{Org: first[0], Kind: keys.KindKey, Live: true, Limit: listSize})
	if err != nil {
		return []finding{{"keys", wrong, err.Error()}}
	}
	other := 0
	formats := slices.Concat(s.options.OtherFormats, s.formats()[:1])
	for i := range page {
		if !slices.ContainsFunc(formats, func(f *keys.Format) bool { return f.ValidID(page[i].ID) }) {
			other++
		}
	}
	if other > 0 {
		return []finding{{"keys", wrong, fmt.Sprintf("%d of the first %s have IDs of another form than the configuration says", other, count(len(page), "key"))}}
	}
	return []finding{{"keys", ok, "have the form that the configuration says"}}
}

func (s *session) printFindings(found []finding) error {
	t := newTable(s.stdout)
	defer t.end()
	var bad error
	for _, f := range found {
		if f.Result == wrong {
			bad = errSilentUnfit
		}
		if !s.json {
			t.row(f.Matter, f.Result, f.Detail)
		} else if err := s.printJSON(f); err != nil {
			return err
		}
	}
	return bad
}

// noStore is a store for checking options, which call none of its methods.
type noStore struct{ keys.Store }
