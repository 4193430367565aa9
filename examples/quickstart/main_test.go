package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestREADME compares the program in README with the one that compiles.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(readme), "```go\n")
	printed, _, closed := strings.Cut(rest, "```\n")
	if !ok || !closed {
		t.Fatal("README has no Go program")
	}
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, program, ok := strings.Cut(string(source), "package main\n")
	if !ok {
		t.Fatal("main.go has no package clause")
	}
	if diff := cmp.Diff("package main\n"+program, printed); diff != "" {
		t.Error(diff)
	}
}
