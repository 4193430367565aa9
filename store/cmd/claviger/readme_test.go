package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/store/storetest/servers"
)

// TestREADME follows README over a server of PostgreSQL: its commands of this program
// and of the shell. What installs PostgreSQL and what asks the host is left out.
func TestREADME(t *testing.T) {
	if testing.Short() {
		t.Skip("it needs PostgreSQL")
	}
	t.Parallel()
	server, err := postgresServer()
	servers.Require(t, err)
	started[0].Store(true)
	// A database of its own, since other tests look at one without tables.
	before, settings, _ := strings.Cut(server.DSN, "?")
	name := fmt.Sprintf("readme%d", hosts.Add(1))
	if _, err := pool(t).Exec(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	url := before[:strings.LastIndex(before, "/")+1] + name + "?" + settings + "&password=" + password
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	script.WriteString("claviger() { " + programVar + "=yes '" + os.Args[0] + `' "$@"; }` + "\n")
	for _, block := range strings.Split(string(readme), "```sh\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		if strings.Contains(block, "apt-get") {
			continue
		}
		for line := range strings.Lines(block) {
			switch first, _, _ := strings.Cut(line, " "); first {
			case "go", "./partnerapi", "sleep", "curl":
			default:
				script.WriteString(line)
			}
		}
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script.String())
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "CLAVIGER_STORE="+url)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Errorf("%v", err)
	}
	if strings.Contains(errs.String(), "claviger: ") {
		t.Error("a command failed")
	}
	for _, want := range []string{"done: run 0001_tables.sql", "settings       ok", "good               yes", "revoked: vck_live_", "exit status 4", "  revoked  "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("nothing says %q", want)
		}
	}
	kept, err := exec.Command("bash", "-c", "cat "+cmd.Dir+"/checkpoints-*").CombinedOutput()
	if err != nil || !strings.Contains(string(kept), `"seq":3`) {
		t.Errorf("the checkpoints are %v %s", err, kept)
	}
	if t.Failed() {
		t.Logf("%s%s", out.String(), errs.String())
	}
}
