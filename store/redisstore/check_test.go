package redisstore_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/redisstore"
	"github.com/claviger-auth/claviger/store/storetest/servers"
)

// findings are what the checks of a server can find.
var findings = []error{
	redisstore.ErrNotPrimary, redisstore.ErrEvicts, redisstore.ErrNotDurable, redisstore.ErrReplicas, redisstore.ErrNotTold,
}

// finds fails the test unless an error wraps just the given findings.
func finds(t *testing.T, what string, err error, want ...error) {
	t.Helper()
	if (err == nil) != (len(want) == 0) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
	for _, f := range findings {
		if errors.Is(err, f) != slices.Contains(want, f) {
			t.Errorf("%s: %v; that it wraps %q is %t", what, err, f, errors.Is(err, f))
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	evicts, undurable, untold := redisstore.ErrEvicts, redisstore.ErrNotDurable, redisstore.ErrNotTold
	noConfig, noInfo := []string{"--rename-command", "CONFIG", ""}, []string{"--rename-command", "INFO", ""}
	for _, row := range []struct {
		name     string
		settings []string
		opts     redisstore.Options
		want     []error // of Check
		limits   []error // of CheckLimits
	}{
		{"durable", nil, redisstore.Options{}, nil, nil},
		{"bounded memory", []string{"--maxmemory", "100mb"}, redisstore.Options{}, nil, nil},
		{
			"evicts all",
			[]string{"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"},
			redisstore.Options{},
			[]error{evicts},
			[]error{evicts},
		},
		{"evicts what expires", []string{"--maxmemory-policy", "volatile-ttl"}, redisstore.Options{}, []error{evicts}, []error{evicts}},
		{"no log", []string{"--appendonly", "no"}, redisstore.Options{}, []error{undurable}, nil},
		{"syncs each second", []string{"--appendfsync", "everysec"}, redisstore.Options{}, []error{undurable}, nil},
		{"never syncs", []string{"--appendfsync", "no"}, redisstore.Options{}, []error{undurable}, nil},
		{"no replica", nil, redisstore.Options{Replicas: 1}, []error{redisstore.ErrReplicas}, nil},
		{
			"a replica",
			[]string{"--replicaof", "127.0.0.1 1"},
			redisstore.Options{},
			[]error{redisstore.ErrNotPrimary},
			[]error{redisstore.ErrNotPrimary},
		},
		{"no CONFIG", noConfig, redisstore.Options{}, []error{untold}, nil},
		{"no CONFIG and no log", append([]string{"--appendonly", "no"}, noConfig...), redisstore.Options{}, []error{undurable}, nil},
		{"no INFO", noInfo, redisstore.Options{}, nil, nil},
		{"no INFO and no log", append([]string{"--appendonly", "no"}, noInfo...), redisstore.Options{}, []error{undurable}, nil},
		{"no INFO and everysec", append([]string{"--appendfsync", "everysec"}, noInfo...), redisstore.Options{}, []error{undurable}, nil},
		{
			"no INFO and it evicts", append([]string{"--maxmemory-policy", "allkeys-lfu"}, noInfo...),
			redisstore.Options{},
			[]error{evicts},
			[]error{evicts},
		},
		{"no INFO and a replica wanted", noInfo, redisstore.Options{Replicas: 1}, []error{untold}, nil},
		{"no INFO and no CONFIG", append(noConfig, noInfo...), redisstore.Options{}, []error{untold}, []error{untold}},
		{
			"no INFO, no CONFIG and a replica",
			slices.Concat([]string{"--replicaof", "127.0.0.1 1"}, noConfig, noInfo),
			redisstore.Options{},
			[]error{redisstore.ErrNotPrimary},
			[]error{redisstore.ErrNotPrimary},
		},
		{
			"nearly all",
			[]string{"--appendonly", "no", "--maxmemory-policy", "allkeys-random"},
			redisstore.Options{Replicas: 1},
			[]error{evicts, undurable, redisstore.ErrReplicas},
			[]error{evicts},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := open(t, connect(t, private(t, row.settings...).Socket), row.opts)
			finds(t, "Check", s.Check(t.Context()), row.want...)
			finds(t, "CheckLimits", s.CheckLimits(t.Context()), row.limits...)
		})
	}
}

// TestCheckOfFeed holds that Check and Announce note since when no announcement can
// have been lost, and that Check says if that cannot be told.
func TestCheckOfFeed(t *testing.T) {
	t.Parallel()
	server, err := durable()
	servers.Require(t, err)
	c, p := connect(t, server.Socket), prefix()
	s := open(t, c, redisstore.Options{Prefix: p})
	for call, err := range map[string]func() error{
		"Check":    func() error { return s.Check(t.Context()) },
		"Announce": func() error { return s.Announce(t.Context(), "cache", time.Second) },
	} {
		must(t, c.Del(t.Context(), redisstore.WholeKey(p)).Err())
		must(t, err())
		if since, err := c.HGet(t.Context(), redisstore.WholeKey(p), "since").Result(); err != nil || since == "" {
			t.Errorf("%s noted %q, %v", call, since, err)
		}
	}
	must(t, c.Del(t.Context(), redisstore.WholeKey(p)).Err())
	must(t, c.Set(t.Context(), redisstore.WholeKey(p), "x", 0).Err())
	wants(t, "Check", s.Check(t.Context()), keys.ErrCorrupt)
}

// TestCheckAsUser asks as a user who may use the store and look at no settings,
// as managed servers have it.
func TestCheckAsUser(t *testing.T) {
	t.Parallel()
	srv := private(t, "--appendonly", "no")
	admin := connect(t, srv.Socket)
	must(t, admin.Do(t.Context(), "ACL", "SETUSER", "app", "on", ">app's password", "~*", "+@all", "-@admin", "-@dangerous").Err())
	set := settings(srv.Socket)
	set.Username, set.Password = "app", "app's password"
	c := redis.NewClient(set)
	t.Cleanup(func() { _ = c.Close() })
	s := open(t, c, redisstore.Options{})
	finds(t, "Check", s.Check(t.Context()), redisstore.ErrNotTold)
	finds(t, "CheckLimits", s.CheckLimits(t.Context()), redisstore.ErrNotTold)
	checkUses(t, s) // all but Migrate, which scans, needs no more
	checkFamilies(t, s)
}

// TestRights uses the store as a user with the rights that the package comment names.
func TestRights(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "//\tACL SETUSER app on >PASSWORD ~claviger:* ")
	rules, _, found := strings.Cut(rest, "\n")
	if !found {
		t.Fatal("the package comment names no rights")
	}
	server, err := durable()
	servers.Require(t, err)
	name := prefix()
	call := []any{"ACL", "SETUSER", name, "on", ">password", "~" + name + ":*"}
	for rule := range strings.FieldsSeq(rules) {
		call = append(call, rule)
	}
	must(t, connect(t, server.Socket).Do(t.Context(), call...).Err())
	set := settings(server.Socket)
	set.Username, set.Password = name, "password"
	c := redis.NewClient(set)
	t.Cleanup(func() { _ = c.Close() })
	s := open(t, c, redisstore.Options{Prefix: name})
	must(t, s.Check(t.Context()))
	must(t, s.CheckLimits(t.Context()))
	checkFamilies(t, s)
	must(t, s.Migrate(t.Context()))
	_, err = s.Take(t.Context(), acme, daily(9), time.Time{}, 1)
	must(t, err)
	must(t, s.Announce(t.Context(), "cache", time.Second))
	_, err = s.Poll(t.Context(), "cache", "")
	must(t, err)
	_, err = s.MarkIdle(t.Context(), time.Hour)
	must(t, err)
	_, err = s.List(t.Context(), keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 10})
	must(t, err)
	_, err = s.Sweep(t.Context(), expires.AddDate(1, 0, 0), 10)
	must(t, err)
	must(t, s.AddEntry(t.Context(), keys.Entry{
		Org: "acme", Time: created, Action: keys.ActionRevoked, ID: "key", Kind: keys.KindKey, Version: 2,
	}))
	if err := s.CutEntries(t.Context(), "acme", "none", 1); !errors.Is(err, keys.ErrNotFound) {
		t.Error(err)
	}
}

func TestCheckOfNobody(t *testing.T) {
	t.Parallel()
	s := open(t, connect(t, "/nowhere"), redisstore.Options{})
	for _, err := range []error{s.Check(t.Context()), s.CheckLimits(t.Context())} {
		if err == nil {
			t.Error("no error")
		}
		for _, f := range findings {
			if errors.Is(err, f) {
				t.Error(err)
			}
		}
	}
}

// TestErrorsHoldNoPassword looks for the password in the errors of all calls, of a
// server that refuses it, and of one that is not there.
func TestErrorsHoldNoPassword(t *testing.T) {
	t.Parallel()
	const password = "correct horse battery staple"
	refuses := private(t, "--requirepass", "another")
	for _, socket := range []string{refuses.Socket, "/nowhere"} {
		set := settings(socket)
		set.Username, set.Password = "default", password
		c := redis.NewClient(set)
		t.Cleanup(func() { _ = c.Close() })
		s := open(t, c, redisstore.Options{})
		for name, call := range calls(t.Context(), s) {
			err := call()
			if err == nil || strings.Contains(err.Error(), password) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
