package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// A benchRun is the output of the benchmarks.
type benchRun struct {
	config map[string]string // what is said about the machine and the run
	peers  []string          // "name: module version", in order
	groups []*group          // in order
}

// A group is the cases that are compared with each other.
type group struct {
	name string // such as "Limiter/keys=1"
	rows []*row // in order
}

// A row is the results of one case.
type row struct {
	name    string               // such as "claviger"
	samples map[string][]float64 // by unit
}

// parse reads the output. It fails if a benchmark failed, since what is missing
// then would go unnoticed, or if there are no results.
func parse(in io.Reader) (*benchRun, error) {
	r := &benchRun{config: make(map[string]string)}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "--- FAIL"), strings.HasPrefix(line, "FAIL"), strings.HasPrefix(line, "panic:"):
			return nil, fmt.Errorf("a benchmark failed: %s", line)
		case strings.HasPrefix(line, "Benchmark"):
			if err := r.result(line); err != nil {
				return nil, err
			}
		default:
			r.setting(line)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(r.groups) == 0 {
		return nil, errors.New("no results")
	}
	return r, nil
}

// setting reads a line such as "goos: linux".
func (r *benchRun) setting(line string) {
	key, value, found := strings.Cut(line, ": ")
	if !found || key == "" || key[0] < 'a' || key[0] > 'z' || strings.Contains(key, " ") {
		return
	}
	if name, is := strings.CutPrefix(key, "peer-"); is {
		if peer := name + ": " + value; !slices.Contains(r.peers, peer) {
			r.peers = append(r.peers, peer)
		}
		return
	}
	r.config[key] = value
}

// result reads a line such as "BenchmarkCheck/impl=floor-2 100 186.0 ns/op".
// A line without figures is that of a benchmark which wrote something itself.
func (r *benchRun) result(line string) error {
	fields := strings.Fields(line)
	if len(fields) < 4 {
		return nil
	}
	if _, err := strconv.Atoi(fields[1]); err != nil || len(fields)%2 != 0 {
		return fmt.Errorf("not a result: %s", line)
	}
	name := strings.TrimPrefix(fields[0], "Benchmark")
	if procs := r.config["procs"]; procs != "1" {
		name = strings.TrimSuffix(name, "-"+procs)
	}
	groupName, rowName := split(name)
	row := r.row(groupName, rowName)
	for i := 2; i < len(fields); i += 2 {
		x, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return fmt.Errorf("not a result: %s", line)
		}
		row.samples[fields[i+1]] = append(row.samples[fields[i+1]], x)
	}
	return nil
}

// split divides the name of a case into its group and its row: what follows
// impl= or case=, or else the last part. A name of one part is both.
func split(name string) (group, row string) {
	parts := strings.Split(name, "/")
	if len(parts) == 1 {
		return name, name
	}
	at := len(parts) - 1
	row = parts[at]
	for i, part := range parts {
		key, value, _ := strings.Cut(part, "=")
		if key == "impl" || key == "case" {
			at, row = i, value
		}
	}
	return strings.Join(slices.Delete(parts, at, at+1), "/"), row
}

// row returns the row of a name, made if it is not there yet.
func (r *benchRun) row(groupName, rowName string) *row {
	g := r.group(groupName)
	if g == nil {
		g = &group{name: groupName}
		r.groups = append(r.groups, g)
	}
	if x := g.row(rowName); x != nil {
		return x
	}
	x := &row{name: rowName, samples: make(map[string][]float64)}
	g.rows = append(g.rows, x)
	return x
}

// group returns the group of a name, or nil.
func (r *benchRun) group(name string) *group {
	for _, g := range r.groups {
		if g.name == name {
			return g
		}
	}
	return nil
}

// row returns the row of a name, or nil.
func (g *group) row(name string) *row {
	for _, x := range g.rows {
		if x.name == name {
			return x
		}
	}
	return nil
}

// unit returns what the rows of a group are compared by: bytes, if memory is
// what the group is about, or else time.
func (g *group) unit() string {
	for _, unit := range []string{"B/key", "B/record"} {
		if _, is := g.rows[0].samples[unit]; is {
			return unit
		}
	}
	return "ns/op"
}

// floor returns the row that a row of the group is measured by: the floor of
// the same variety (floor-typed for claviger-typed), the floor, the bare
// server, the host that keeps all in memory, or the request that was accepted; or
// nil.
func (g *group) floor(of string) *row {
	if _, variety, found := strings.Cut(of, "-"); found {
		if x := g.row("floor-" + variety); x != nil && strings.HasPrefix(of, "claviger") {
			return x
		}
	}
	for _, name := range []string{"floor", "bare", "memory", "accepted"} {
		if x := g.row(name); x != nil {
			return x
		}
	}
	return nil
}

// ours reports whether a row is not a peer's.
func ours(name string) bool {
	return name == "bare" || strings.HasPrefix(name, "floor") || strings.HasPrefix(name, "claviger")
}

// nearest returns the peer that comes out best, among those named if any are,
// or nil.
func (g *group) nearest(among []string) *row {
	var best *row
	for _, x := range g.rows {
		if ours(x.name) || len(among) > 0 && !slices.Contains(among, x.name) {
			continue
		}
		if best == nil || x.median(g.unit()) < best.median(g.unit()) {
			best = x
		}
	}
	return best
}
