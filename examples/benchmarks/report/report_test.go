package main

import (
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestReport compares the reports on testdata/bench.txt with the golden files.
func TestReport(t *testing.T) {
	t.Parallel()
	in, err := os.ReadFile("testdata/bench.txt")
	if err != nil {
		t.Fatal(err)
	}
	r, err := parse(strings.NewReader(string(in)))
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{"full.md": r.full(), "short.md": r.short()} {
		golden := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	const good = "BenchmarkCheck/impl=floor-2 1 200.0 ns/op\n"
	for _, tt := range []struct{ name, in, want string }{
		{"nothing", "PASS\n", "no results"},
		{"a failure", good + "--- FAIL: BenchmarkCheck/impl=claviger\n    check_test.go:1: refused\n", "failed"},
		{"a failed package", good + "FAIL\n", "failed"},
		{"a panic", good + "panic: runtime error\n", "failed"},
		{"no count", "BenchmarkCheck/impl=floor-2 one 200.0 ns/op\n", "not a result"},
		{"no figure", "BenchmarkCheck/impl=floor-2 1 fast ns/op\n", "not a result"},
		{"no unit", "BenchmarkCheck/impl=floor-2 1 200.0 ns/op 3\n", "not a result"},
	} {
		if _, err := parse(strings.NewReader(tt.in)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want an error with %q", tt.name, err, tt.want)
		}
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, group, row string }{
		{"Check/impl=claviger", "Check", "claviger"},
		{"Limiter/keys=1000/impl=x-time", "Limiter/keys=1000", "x-time"},
		{"Reject/case=limit", "Reject", "limit"},
		{"Scale/op=verify/entries=1000", "Scale/op=verify", "entries=1000"},
		{"NodesMisses", "NodesMisses", "NodesMisses"},
	} {
		if group, row := split(tt.name); group != tt.group || row != tt.row {
			t.Errorf("%s: %q and %q, want %q and %q", tt.name, group, row, tt.group, tt.row)
		}
	}
}

// TestProcessors checks that the suffix for the processors is cut off, and
// nothing else that looks like it.
func TestProcessors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{"procs: 16\nBenchmarkPath/impl=x-16 1 2.0 ns/op\n", "x"},
		{"procs: 16\nBenchmarkPath/impl=x-2-16 1 2.0 ns/op\n", "x-2"},
		{"procs: 1\nBenchmarkPath/impl=x-1 1 2.0 ns/op\n", "x-1"},
	} {
		r, err := parse(strings.NewReader(tt.in))
		if err != nil {
			t.Fatal(err)
		}
		if got := r.groups[0].rows[0].name; got != tt.want {
			t.Errorf("%q: %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	for x, want := range map[float64]string{
		0: "0", 33.6: "33.6", 99.94: "99.9", 186.4: "186", 999.6: "1,000", 1234567: "1,234,567", math.NaN(): "",
	} {
		if got := figure(x); got != want {
			t.Errorf("%v: %q, want %q", x, got, want)
		}
	}
	for _, tt := range []struct {
		samples []float64
		q, want float64
	}{
		{[]float64{7}, 0.5, 7},
		{[]float64{3, 1, 2}, 0.5, 2},
		{[]float64{4, 1, 3, 2}, 0.5, 2.5},
		{[]float64{1, 2, 3, 4, 5}, 0.25, 2},
		{[]float64{1, 2, 3, 4, 5}, 1, 5},
	} {
		if got := quantile(tt.samples, tt.q); got != tt.want {
			t.Errorf("quantile %v of %v: %v, want %v", tt.q, tt.samples, got, tt.want)
		}
	}
}

// TestTimes checks that a ratio is that of each round, so that a machine which
// slows down between two rounds does not show.
func TestTimes(t *testing.T) {
	t.Parallel()
	const unit = "ns/op"
	floor := &row{samples: map[string][]float64{unit: {100, 1000, 100}}}
	for _, tt := range []struct {
		name    string
		samples []float64
		want    float64
	}{
		{"rounds", []float64{200, 2000, 300}, 2},
		{"another number of them", []float64{300, 300}, 3},
		{"none", nil, math.NaN()},
	} {
		x := &row{samples: map[string][]float64{unit: tt.samples}}
		if got := x.times(floor, unit); got != tt.want && !(math.IsNaN(got) && math.IsNaN(tt.want)) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	if got := ratio(floor, nil, unit) + ratio(nil, floor, unit); got != "" {
		t.Errorf("a ratio to nothing: %q", got)
	}
}

func TestReplace(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "README.md")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("above\n" + beginMark + "old\n" + endMark + "below\n")
	in := "BenchmarkCheck/impl=claviger 1 200.0 ns/op\n"
	for range 2 {
		if err := run(strings.NewReader(in), nil, file, ""); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(got)
	if !strings.HasPrefix(text, "above\n"+beginMark) || !strings.HasSuffix(text, "|\n"+endMark+"below\n") ||
		strings.Contains(text, "old") || strings.Count(text, "| 200 ns |") != 1 {
		t.Errorf("got\n%s", text)
	}
	for _, bad := range []string{"", beginMark, endMark + beginMark, beginMark + endMark + beginMark + endMark} {
		write(bad)
		if err := run(strings.NewReader(in), nil, file, ""); err == nil {
			t.Errorf("%q was taken", bad)
		}
		if left, err := os.ReadFile(file); err != nil || string(left) != bad {
			t.Errorf("%q was changed to %q, %v", bad, left, err)
		}
	}
}
