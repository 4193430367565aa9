//go:build !race

package keys_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// A mistake is one that a cache must not make. It is made in the code of this
// package, as TestMistakes builds it: each edit puts new text in the place of old
// text, which occurs once. The new text asks mistake("name") whether this one is
// made.
type mistake struct {
	name  string
	edits []edit
	plot  plot // that it is sought in; anything stands for all
}

type edit struct{ file, old, new string }

var mistakes = []mistake{
	{"the lease counts from the answer", []edit{{"cacherun.go", "\t\t\tc.began.Store(&began)\n", `
			if mistake("the lease counts from the answer") {
				began = c.clock()
			}
			c.began.Store(&began)
`}}, anything},
	{"generations are not compared", []edit{{"cache.go", "if s.named > noted {", `if s.named > noted && !mistake("generations are not compared") {`}}, anything},
	{"the part of the parent is not noted before the read", []edit{{"cache.go", "\tfor _, r := range records {\n\t\tif r != nil {", `
	if p := records[len(records)-1]; p != nil && mistake("the part of the parent is not noted before the read") {
		c.shard(p.ID).put(p, c.polled.Load()+1, 1000)
	}
	for _, r := range records {
		if r != nil {`}}, anything},
	{"an old read is joined", []edit{{"flight.go", "now.since(*f.began) < c.opts.Lease", `(mistake("an old read is joined") || now.since(*f.began) < c.opts.Lease)`}}, anything},
	{"a read of an earlier announcement is joined", []edit{{"flight.go", "f.run == c.run.Load()", `(f.run == c.run.Load() || mistake("a read of an earlier announcement is joined"))`}}, restarts},
	{"reads are joined in a lapse", []edit{
		{"cache.go", "\t\tc.lapses.Add(1)\n", `
		c.lapses.Add(1)
		if mistake("reads are joined in a lapse") {
			return c.share(ctx, c.shard(id), id, now)
		}
`},
		{"flight.go", "c.usable(now)", `(c.usable(now) || mistake("reads are joined in a lapse"))`},
	}, anything},
	{"that there is no record is shared", []edit{{"flight.go", "errors.Is(f.err, ErrNotFound)", `errors.Is(f.err, ErrNotFound) && !mistake("that there is no record is shared")`}}, anything},
	{"the position is moved before the records are dropped", []edit{{"cacherun.go", "changes, err := c.poll(ctx, id, at)\n", `changes, err := c.poll(ctx, id, at)
		if mistake("the position is moved before the records are dropped") && changes.Next != "" {
			at = changes.Next
		}
`}}, anything},
	{"the lease is extended before the records are dropped", []edit{{"cacherun.go", "\t\t\tnumber := c.polled.Load() + 1\n", `
			if mistake("the lease is extended before the records are dropped") {
				c.began.Store(&began)
				c.clock()
			}
			number := c.polled.Load() + 1
`}}, anything},
	{"the record is looked up before the lease", []edit{
		{"cache.go", "\tnow := c.clock()\n\tif !c.usable", `
	var early *Record
	if mistake("the record is looked up before the lease") {
		early = c.shard(id).get(id)
	}
	now := c.clock()
	if !c.usable`},
		{"cache.go", "if rec = s.get(id); rec != nil {", "if rec = s.get(id); early != nil {\n\t\trec = early\n\t}\n\tif rec != nil {"},
	}, anything},
	{"the cache is used before it is announced", []edit{{"cacherun.go", "\t\tid := rand.Text()\n", `
		id := rand.Text()
		if mistake("the cache is used before it is announced") {
			now := c.clock()
			c.began.Store(&now)
		}
`}}, anything},
	{"announcements are read before the commit", []edit{
		{"change.go", "id string, c Change) (Record, error) {\n", `id string, c Change) (Record, error) {
	early, failed := m.settleTime(ctx)
`},
		{"change.go", "\tm.tell(ctx, Changed, &rec)\n\treturn rec, ", `
	m.tell(ctx, Changed, &rec)
	if mistake("announcements are read before the commit") {
		time.Sleep(early) // on the test's own clock
		return rec, failed
	}
	return rec, `},
	}, anything},
	{"two caches have one name", []edit{{"cacherun.go", "id := rand.Text()\n", "id := rand.Text()\n\t\tif mistake(\"two caches have one name\") {\n\t\t\tid = \"cache\"\n\t\t}\n"}}, anything},
	{"an announcement is removed as soon as it is marked", []edit{{"cacherun.go", "time.Since(idle.marked) > settleTime(MaxLease)", `(time.Since(idle.marked) > settleTime(MaxLease) || mistake("an announcement is removed as soon as it is marked"))`}, {"cacherun.go", "\tidle.marked = time.Now()\n", `
		if mistake("an announcement is removed as soon as it is marked") {
			err = errors.Join(err, c.withdraw(ctx, idle.ids...))
		}
		idle.marked = time.Now()
`}}, idle},
	{"the announcement is taken back before the cache is closed", []edit{{"cacherun.go", "\t\t\tc.began.Store(nil)", `
			if mistake("the announcement is taken back before the cache is closed") {
				c.withdraw(ctx, id)
			}
			c.began.Store(nil)`}}, anything},
	{"a poll that empties the cache voids no reads", []edit{{"cache.go", "\ts.named = number\n", `
	if !mistake("a poll that empties the cache voids no reads") {
		s.named = number
	}
`}}, anything},
	{"no margin for clocks", []edit{{"cacherun.go", "return lease + lease/5", "if mistake(\"no margin for clocks\") {\n\t\treturn lease\n\t}\n\treturn lease + lease/5"}}, anything},
	{"the wall clock is not looked at", []edit{{"reading.go", "\treturn time.Duration(max(", "\tif mistake(\"the wall clock is not looked at\") {\n\t\treturn time.Duration(t.mono - u.mono)\n\t}\n\treturn time.Duration(max("}}, anything},
	{"what was revoked before returns at once", []edit{{"change.go", "_, err := m.revoke(ctx, org, kind, id, nil)\n", `revoked, err := m.revoke(ctx, org, kind, id, nil)
	if !revoked && mistake("what was revoked before returns at once") {
		return err
	}
`}}, anything},
	{"a settle that failed is no error", []edit{{"settle.go", "errors.Is(err, ErrUncommitted) {\n\t\treturn nil", "errors.Is(err, ErrUncommitted) || mistake(\"a settle that failed is no error\") {\n\t\treturn nil"}}, anything},
}

// brokenServers are mistakes of a store, which the worlds of histories can make.
var brokenServers = map[string]server{
	"positions number transactions":       {sequence: true},
	"a trimmed feed goes unnoticed":       {trimmed: true},
	"a crash goes unnoticed":              {crashes: true},
	"announcements are not looked for":    {unmarked: true},
	"lost announcements go unnoticed":     {lost: true},
	"what is swept is not among the rest": {unswept: true},
}

// TestBrokenServers plays histories over stores that break a rule. Each is found. A
// short run tries one.
func TestBrokenServers(t *testing.T) {
	t.Parallel()
	tried := brokenServers
	if testing.Short() {
		tried = map[string]server{"positions": {sequence: true}}
	}
	for name, how := range tried {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := find(t, how)
			if n < 0 {
				t.Error("not found")
			}
			t.Logf("found in history %d", n)
		})
	}
}

// find plays histories until one goes wrong, and returns its number, or -1.
func find(t *testing.T, how server) int {
	for seed := range 6000 {
		wrong := ""
		synctest.Test(t, func(t *testing.T) { wrong = play(t, uint64(seed), how).wrong })
		if wrong != "" {
			return seed
		}
	}
	return -1
}

// TestMistakes builds this package with all mistakes in it, and plays histories with each
// of them in turn. Each is found. Without CLAVIGER_LONG in the environment it only looks
// whether the code is still what the mistakes are about.
func TestMistakes(t *testing.T) {
	t.Parallel()
	program := buildMistakes(t)
	if program == "" {
		return
	}
	places := make(chan struct{}, 2)
	var all sync.WaitGroup
	for _, m := range mistakes {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestHistories$", "-histories=6000")
			if m.plot != anything {
				cmd.Args = append(cmd.Args, "-plot="+strconv.Itoa(int(m.plot)))
			}
			cmd.Env = append(os.Environ(), "CLAVIGER_MISTAKE="+m.name)
			out, err := cmd.CombinedOutput()
			found := regexp.MustCompile(`history (\d+): a check`).FindSubmatch(out)
			if err == nil || found == nil {
				t.Errorf("%s: not found: %v, %s", m.name, err, out)
				return
			}
			t.Logf("%s: found in history %s", m.name, found[1])
		})
	}
	all.Wait()
}

// buildMistakes builds the tests of this package with all mistakes in it, and
// returns the path of the program. Without CLAVIGER_LONG in the environment it only
// looks whether the mistakes fit the code, and returns nothing.
func buildMistakes(t *testing.T) string {
	dir := t.TempDir()
	edited := map[string]string{
		"mistake.go": "package keys\n\nimport \"os\"\n\nvar mistaken = os.Getenv(\"CLAVIGER_MISTAKE\")\n\nfunc mistake(name string) bool { return mistaken == name }\n",
	}
	for _, m := range mistakes {
		for _, e := range m.edits {
			text, is := edited[e.file]
			if !is {
				source, err := os.ReadFile(e.file)
				if err != nil {
					t.Fatal(err)
				}
				text = string(source)
			}
			if n := strings.Count(text, e.old); n != 1 {
				t.Fatalf("%s: %q occurs %d times in %s", m.name, e.old, n, e.file)
			}
			edited[e.file] = strings.Replace(text, e.old, e.new, 1)
		}
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	replace := make(map[string]string)
	for name, text := range edited {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[filepath.Join(here, name)] = path
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	file, program := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "mutants.test")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("CLAVIGER_LONG") == "" {
		return ""
	}
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", file, "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}
