package main

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	h := sqliteHost(t)
	h.must(exitDone, "migrate")
	tests := []struct {
		name string
		args []string
		code int
		says string // on standard error
	}{
		{"nothing", nil, exitUsage, "COMMANDS"},
		{"an unknown command", []string{"frobnicate"}, exitUsage, `there is no command "frobnicate"`},
		{"a group without a verb", []string{"keys"}, exitUsage, "claviger keys create"},
		{"an unknown verb", []string{"keys", "frobnicate"}, exitUsage, `there is no command "frobnicate"`},
		{"an unknown flag", []string{"stats", "-frobnicate"}, exitUsage, `there is no flag "-frobnicate"; see claviger help stats`},
		{"no ID", []string{"show"}, exitUsage, "ID is missing"},
		{"two IDs", []string{"show", "a", "b"}, exitUsage, "too many arguments"},
		{"no organization", []string{"keys", "create"}, exitUsage, "-org is missing"},
		{"no organization to list", []string{"clients", "list"}, exitUsage, "-org is missing"},
		{"a change of nothing", []string{"change", "a"}, exitUsage, "no flag says what to change"},
		{"a bad time", []string{"keys", "create", "-org", "a", "-expires-in", "soon"}, exitUsage, "want a time such as 90d"},
		{"no time to live", []string{"keys", "create", "-org", "a", "-expires-in", "0d"}, exitUsage, "want a time of more than 0"},
		{"no time to live in a rotation", []string{"rotate", "a", "-expires-in", "0"}, exitUsage, "want a time of more than 0"},
		{"no time to live for tokens", []string{"clients", "create", "-org", "a", "-token-lifetime", "0s"}, exitUsage, "want a time of more than 0"},
		{"half a second for tokens", []string{"clients", "create", "-org", "a", "-token-lifetime", "500ms"}, exitUsage, "-token-lifetime: want whole seconds"},
		{"a change to no time to live", []string{"change", "a", "-expires-in", "0"}, exitUsage, "want a time of more than 0"},
		{"a bad number", []string{"keys", "create", "-org", "a", "-rate-limit", "many"}, exitUsage, "invalid value for flag -rate-limit"},
		{"a negative limit", []string{"keys", "create", "-org", "a", "-rate-limit", "-1"}, exitUsage, "rate limit"},
		{"a bad network", []string{"keys", "create", "-org", "a", "-networks", "example.com"}, exitUsage, "-networks"},
		{"another environment", []string{"keys", "create", "-org", "a", "-environment", "dev"}, exitUsage, "environment"},
		{"an unknown scope", []string{"keys", "create", "-org", "a", "-scopes", "leads:read,x"}, exitUsage, "reserved: leads:read; not in the configuration: x"},
		{"a scope to change to", []string{"change", "a", "-scopes", "x"}, exitNotFound, "no such credential"},
		{"an unknown ID", []string{"revoke", "vck_live_x"}, exitNotFound, "no such credential"},
		{"an impossible ID", []string{"show", "\xff"}, exitNotFound, "no such credential"},
		{"an unknown organization", []string{"stats", "-org", "nobody"}, exitNotFound, "no organization of that name"},
		{"nothing to verify", []string{"verify"}, exitUsage, "no credential on standard input"},
		{"a bad address", []string{"verify", "-from", "here"}, exitUsage, "-from is not an address"},
		{"a bad batch", []string{"sweep", "-batch", "0"}, exitUsage, "-batch"},
		{"a batch that is too large", []string{"sweep", "-batch", "10001"}, exitUsage, "from 1 to 10,000"},
		{"no time", []string{"stats", "-timeout", "0s"}, exitUsage, "-timeout"},
		{"a time without a unit", []string{"stats", "-timeout", "5"}, exitUsage, "invalid value for flag -timeout: want a time such as 30s"},
		{"a limit in words", []string{"keys", "list", "-org", "a", "-limit", "all"}, exitUsage, "invalid value for flag -limit: want a whole number"},
		{"a limit beyond all numbers", []string{"keys", "list", "-org", "a", "-limit", "99999999999999999999"}, exitUsage, "-limit: value out of range"},
		{"a switch with a value", []string{"stats", "-json=maybe"}, exitUsage, "invalid value for -json: want true or false"},
		{"two stores", []string{"stats", "-store", "sqlite:x"}, exitUsage, "exclude each other"},
		{"help", []string{"help"}, exitDone, ""},
		{"help for a command", []string{"help", "keys", "create"}, exitDone, ""},
		{"help for nothing", []string{"help", "frobnicate"}, exitUsage, "there is no command"},
		{"-h", []string{"keys", "list", "-h"}, exitDone, ""},
		{"-h after a group", []string{"keys", "-h"}, exitDone, ""},
		{"flags after a group", []string{"keys", "-json", "-as", "anna", "show", "vck_live_x"}, exitNotFound, "no such credential"},
		{"flags of a command after a group", []string{"keys", "-limit", "1", "list"}, exitUsage, "there is no flag"},
		{"flags after a group, and no verb", []string{"keys", "-json"}, exitUsage, "claviger keys create"},
		{"flags after a group, and an unknown verb", []string{"keys", "-json", "frobnicate"}, exitUsage, "there is no command"},
		{"flags after the arguments", []string{"show", "vck_live_x", "-json"}, exitNotFound, "no such credential"},
		{"no flags after --", []string{"show", "--", "a", "-json"}, exitUsage, "too many arguments"},
		{"arguments that look like flags", []string{"orgs", "show", "--", "-x"}, exitNotFound, "no organization of that name"},
	}
	for _, tt := range tests {
		r := h.run("", tt.args...)
		if r.code != tt.code || !strings.Contains(r.err, tt.says) {
			t.Errorf("%s: exit code %d, want %d with %q\n%s", tt.name, r.code, tt.code, tt.says, r.err)
		}
		if tt.code == exitDone && (r.out == "" || r.err != "") || tt.code != exitDone && r.out != "" {
			t.Errorf("%s: the output is on the wrong side: %q, %q", tt.name, r.out, r.err)
		}
	}
}

// TestNeedsConfiguration runs commands that make or check credentials without a
// configuration.
func TestNeedsConfiguration(t *testing.T) {
	t.Parallel()
	h := sqliteHost(t)
	h.must(exitDone, "migrate")
	id, secret := h.create("keys", "create", "-org", "acme")
	without := func(args ...string) result {
		var out, errs bytes.Buffer
		code := run(t.Context(), append([]string{"-store", h.url}, args...), strings.NewReader(secret), &out, &errs)
		return result{code, out.String(), errs.String()}
	}
	for _, args := range [][]string{
		{"keys", "create", "-org", "acme"},
		{"clients", "create", "-org", "acme"},
		{"orgs", "create", "new"},
		{"rotate", id},
		{"change", id, "-scopes", "keys:manage"},
		{"verify"},
	} {
		if r := without(args...); r.code != exitUsage || !strings.Contains(r.err, "needs the settings of the host") {
			t.Errorf("%v: exit code %d: %s", args, r.code, r.err)
		}
	}
	for _, args := range [][]string{{"show", id}, {"keys", "list", "-org", "acme"}, {"change", id, "-label", "x"}, {"check"}, {"stats"}, {"sweep"}, {"revoke", id}} {
		if r := without(args...); r.code != exitDone {
			t.Errorf("%v: exit code %d: %s", args, r.code, r.err)
		}
	}
}

// TestArgumentsAreNotRepeated has secrets in places where they do not belong.
func TestArgumentsAreNotRepeated(t *testing.T) {
	t.Parallel()
	h := sqliteHost(t)
	h.must(exitDone, "migrate")
	id, secret := h.create("keys", "create", "-org", "acme")
	url := "postgres://app:" + password + "@127.0.0.1:1/app"
	for _, args := range [][]string{
		{password},
		{"keys", password},
		{"-" + password, "stats"},
		{"stats", password},
		{url},
		{"stats", url},
		{"-json=" + url, "stats"},
		{"-timeout", url, "stats"},
		{"-" + url},
		{"--=" + url},
		{"keys", url},
		{"stats", "-timeout", `x" for ` + url},
		{"help", url},
		{secret},
		{"verify", secret},
		{"show", secret},
		{"revoke", secret},
		{"rotate", secret},
		{"-" + secret, "stats"},
		{"verify", "-from", secret},
		{"sweep", "-batch", secret},
		{"keys", "create", "-org", "x", "-networks", secret},
	} {
		if r := h.run("", args...); r.code == exitDone {
			t.Errorf("%v is no error", args)
		}
	}
	if r := h.run("", "revoke", secret); r.code != exitUsage || !strings.Contains(r.err, "Its ID alone is "+id) {
		t.Errorf("exit code %d: %s", r.code, r.err)
	}
	if got := h.verify(secret); got != "good" {
		t.Errorf("the key is %s", got)
	}
}

// TestStoresThatAreNotThere has errors of each driver. None may hold the password.
func TestStoresThatAreNotThere(t *testing.T) {
	t.Parallel()
	pg, rd := postgresHost(t), redisHost(t)
	tests := []struct {
		name, url string
		code      int
	}{
		{"nobody listens", "postgres://app:" + password + "@127.0.0.1:1/app", exitFailure},
		{"a bad port", "postgres://app:" + password + "@127.0.0.1:x/app", exitUsage},
		{"a bad setting", "postgres://app:" + password + "@127.0.0.1/app?pool_max_conns=x", exitUsage},
		{"a bad escape", "postgres://app:" + password + "%zz@127.0.0.1/app", exitUsage},
		{"no such database", pg.url[:strings.Index(pg.url, "?")] + "x" + pg.url[strings.Index(pg.url, "?"):], exitFailure},
		{"no tables", pg.url, exitFailure},
		{"nobody listens, Redis", "redis://:" + password + "@127.0.0.1:1", exitFailure},
		{"nobody listens, cluster", "redis://:" + password + "@127.0.0.1:1?addr=127.0.0.1:2", exitFailure},
		{"a bad URL, Redis", "redis://:" + password + "@127.0.0.1:x", exitUsage},
		{"a bad database, Redis", "redis://:" + password + "@127.0.0.1:1/x", exitUsage},
		{"a bad setting, Redis", "redis://:" + password + "@127.0.0.1:1?pool_size=" + password, exitUsage},
		{"a bad setting, cluster", "redis://:" + password + "@127.0.0.1:1?addr=127.0.0.1:2&pool_size=" + password, exitUsage},
		{"another password", strings.Replace(rd.url, password, password+"x", 1), exitFailure},
		{"a DSN of another form", "host=127.0.0.1 password=" + password, exitUsage},
		{"another kind", "mysql://app:" + password + "@127.0.0.1/app", exitUsage},
		{"no name", "", exitUsage},
		{"two lines", "sqlite:x\n" + password, exitUsage},
		{"no file", "sqlite:/nowhere/x.db", exitFailure},
		{"no name of a file", "sqlite:", exitUsage},
	}
	for _, tt := range tests {
		if testing.Short() && strings.HasPrefix(tt.name, "nobody listens") {
			continue // the drivers try again for two seconds
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, tt.url, nil)
			for _, args := range [][]string{{"keys", "list", "-org", "acme"}, {"check"}, {"stats"}} {
				r := h.run("", append([]string{"-timeout", "2s"}, args...)...)
				if r.code != tt.code && !(args[0] == "check" && r.code == exitUnfit && tt.code == exitFailure) {
					t.Errorf("%s: exit code %d, want %d: %s%s", args[0], r.code, tt.code, r.out, r.err)
				}
			}
		})
	}
}

// TestDriversAreQuiet has a Redis server that is not there. Its client would log each
// attempt on standard error, and the program says it once.
func TestDriversAreQuiet(t *testing.T) {
	t.Parallel()
	h := newHost(t, "redis://127.0.0.1:1", nil)
	var errs bytes.Buffer
	cmd := h.program("-timeout", "1s", "keys", "list", "-org", "acme")
	cmd.Stderr = &errs
	_ = cmd.Run() // the exit code says it all
	if text := errs.String(); cmd.ProcessState.ExitCode() != exitFailure || !strings.HasPrefix(text, "claviger: ") || strings.Count(text, "\n") != 1 {
		t.Errorf("exit code %d, and on standard error\n%s", cmd.ProcessState.ExitCode(), text)
	}
}

// TestOutputFails has a standard output that is closed. What would print a secret is
// refused before anything is done.
func TestOutputFails(t *testing.T) {
	t.Parallel()
	h := sqliteHost(t)
	h.must(exitDone, "migrate")
	_, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	args := []string{"-store", h.url, "-config", h.path("config.json")}
	for _, more := range [][]string{{"keys", "create", "-org", "acme"}, {"keys", "create", "-org", "acme", "-json"}, {"keys", "list", "-org", "acme"}, {"stats"}} {
		var errs bytes.Buffer
		want, says := exitFailure, "writing the output"
		if more[0] == "keys" && more[1] == "create" {
			want, says = exitUsage, "the secret would be lost"
		}
		if code := run(t.Context(), append(args, more...), strings.NewReader(""), w, &errs); code != want || !strings.Contains(errs.String(), says) {
			t.Errorf("%v: exit code %d: %s", more, code, errs.String())
		}
	}
	if out := h.must(exitDone, "keys", "list", "-org", "acme", "-json").out; out != "" {
		t.Errorf("a key was made: %s", out)
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		err  error
		want int
	}{
		{nil, exitDone},
		{errors.New("something"), exitFailure},
		{usageError("x"), exitUsage},
		{keys.ErrInvalid, exitUsage},
		{keys.ErrNotFound, exitNotFound},
		{errors.Join(keys.ErrUnavailable, keys.ErrNotFound), exitFailure},
		{errors.Join(keys.ErrUnsettled, keys.ErrRevoked), exitFailure},
		{errSilentRefused, exitRefused},
		{errSilentUnfit, exitUnfit},
		{errSilentUsage, exitUsage},
		{keys.ErrRevoked, exitState},
		{keys.ErrExpired, exitState},
		{keys.ErrPaused, exitState},
		{keys.ErrReplaced, exitState},
		{keys.ErrConflict, exitFailure},
	}
	for _, tt := range tests {
		if got := exitCode(tt.err); got != tt.want {
			t.Errorf("%v: %d, want %d", tt.err, got, tt.want)
		}
	}
}
