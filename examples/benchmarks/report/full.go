package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// full returns what is known of the run, and a table for each group.
func (r *benchRun) full() string {
	var b strings.Builder
	b.WriteString(r.machine())
	b.WriteString("\n```sh\n" + r.command() + "\n```\n")
	if len(r.peers) > 0 {
		b.WriteString("\n| name | module | version |\n|---|---|---|\n")
		for _, p := range r.peers {
			name, rest, _ := strings.Cut(p, ": ")
			module, version, _ := strings.Cut(rest, " ")
			fmt.Fprintf(&b, "| %s | %s | %s |\n", name, module, version)
		}
	}
	for _, g := range r.groups {
		b.WriteString("\n### " + g.name + "\n\n" + g.table())
	}
	return b.String()
}

// machine returns a line about where and when the figures were taken.
func (r *benchRun) machine() string {
	c := r.config
	runs := "One round"
	if n := r.runs(); n > 1 {
		runs = fmt.Sprintf("Medians of %d rounds", n)
	}
	return fmt.Sprintf("%s on %s processors of %s, %s/%s, %s, %s.\n",
		runs, c["procs"], c["cpu"], c["goos"], c["goarch"], strings.Replace(c["go"], "go", "Go ", 1), c["date"])
}

// runs returns how often the case was run that was run most.
func (r *benchRun) runs() (n int) {
	for _, g := range r.groups {
		for _, x := range g.rows {
			for _, s := range x.samples {
				n = max(n, len(s))
			}
		}
	}
	return n
}

// command returns the lines that measure and report again.
func (r *benchRun) command() string {
	benchtime := ""
	if t := r.config["benchtime"]; t != "" {
		benchtime = " -benchtime " + t
	}
	round := "GOWORK=off go test -C examples/benchmarks -run '^$' -bench ." + benchtime + " ."
	return "for i in $(seq " + strconv.Itoa(r.runs()) + "); do " + round + "; done | tee bench.out\n" +
		"GOWORK=off go run -C examples/benchmarks ./report <bench.out"
}

// A column is one of a table.
type column struct {
	head string
	cell func(x *row) string
}

// columns returns the columns of a group's table.
func (g *group) columns() []column {
	unit := g.unit()
	columns := []column{
		{"ns", func(x *row) string { return figure(x.median("ns/op")) }},
		{"spread", func(x *row) string { return x.spread("ns/op") }},
	}
	for _, known := range [][2]string{{"allocs", "allocs/op"}, {"B", "B/op"}} {
		columns = append(columns, column{known[0], func(x *row) string { return figure(x.median(known[1])) }})
	}
	for _, extra := range slices.Sorted(maps.Keys(g.rows[0].samples)) {
		if !slices.Contains([]string{"ns/op", "allocs/op", "B/op"}, extra) {
			columns = append(columns, column{extra, func(x *row) string { return figure(x.median(extra)) }})
		}
	}
	base := "× floor"
	for _, name := range []string{"memory", "accepted"} {
		if g.row(name) != nil {
			base = "× " + name
		}
	}
	return append(columns,
		column{base, func(x *row) string { return ratio(x, g.floor(x.name), unit) }},
		column{"× claviger", func(x *row) string { return ratio(x, g.row("claviger"), unit) }},
	)
}

// table returns the table of a group, without the columns that are empty.
func (g *group) table() string {
	columns := slices.DeleteFunc(g.columns(), func(c column) bool {
		return !slices.ContainsFunc(g.rows, func(x *row) bool { return c.cell(x) != "" })
	})
	var b strings.Builder
	b.WriteString("| |")
	for _, c := range columns {
		b.WriteString(" " + c.head + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---:|", len(columns)) + "\n")
	for _, x := range g.rows {
		b.WriteString("| " + x.name + " |")
		for _, c := range columns {
			b.WriteString(" " + c.cell(x) + " |")
		}
		b.WriteString("\n")
	}
	return b.String()
}
