package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// asProgram makes the test binary run as the program itself.
const asProgram = "CLAVIGER_PARTNERAPI"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	// Most of the time these tests wait for processes, so more of them run at once
	// than there are processors, unless the command line has another number.
	_ = flag.Set("test.parallel", "6")
	os.Exit(m.Run())
}

// A process is the program, run on its own. What it logs is read as it comes.
type process struct {
	t    *testing.T
	url  string
	cmd  *exec.Cmd
	done chan struct{} // closed when all that it logged has been read

	mu      sync.Mutex
	figures map[string]int // by name, from the last lines of the log
}

// startProcess starts the program, and returns when it serves.
func startProcess(t *testing.T, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, done: make(chan struct{}), figures: make(map[string]int)}
	p.cmd = exec.Command(self, append([]string{"-addr", "127.0.0.1:0"}, args...)...)
	p.cmd.Env = append(os.Environ(), asProgram+"=1")
	endsWithParent(p.cmd)
	log, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // unless it has ended
		<-p.done
		_ = p.cmd.Wait()
	})
	serving := make(chan string, 1)
	go p.read(log, serving)
	select {
	case p.url = <-serving:
	case <-p.done:
		t.Fatalf("%q: ended at once: %v", args, p.tail())
	case <-time.After(time.Minute):
		t.Fatalf("%q: does not serve", args)
	}
	return p
}

var (
	address = regexp.MustCompile(`msg=serving address=(\S+)`)
	figure  = regexp.MustCompile(`(\w+)=(\d+)\b`)
)

// read reads the log.
func (p *process) read(log io.Reader, serving chan<- string) {
	defer close(p.done)
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		line := lines.Bytes()
		switch {
		case bytes.Contains(line, []byte("msg=request")): // one for each request
		case bytes.Contains(line, []byte("msg=serving")):
			serving <- "http://" + string(address.FindSubmatch(line)[1])
		case bytes.Contains(line, []byte("msg=cache hits")), bytes.Contains(line, []byte("msg=leases")):
			p.mu.Lock()
			for _, m := range figure.FindAllSubmatch(line[bytes.Index(line, []byte("msg=")):], -1) {
				p.figures[string(m[1])], _ = strconv.Atoi(string(m[2]))
			}
			p.mu.Unlock()
		}
	}
}

// tail returns what is known of a process that has ended.
func (p *process) tail() string { return fmt.Sprint(p.cmd.ProcessState) }

// stop ends the process in good order, and returns its figures.
func (p *process) stop() map[string]int {
	p.t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		p.t.Error(err)
	}
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		p.t.Error("a process does not stop")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.figures
}

// client has a connection for each of many requests at once, and gives up on a
// process that stands still.
var client = &http.Client{
	Timeout:   30 * time.Second,
	Transport: &http.Transport{MaxIdleConnsPerHost: 256},
}

// send sends a request to a process. The status is 0 if there was no answer.
func (p *process) send(ctx context.Context, method, path, credential, body string) (status int, answer []byte) {
	req, err := http.NewRequestWithContext(ctx, method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Error(err)
		return 0, nil
	}
	id, secret, isPair := strings.Cut(credential, ":")
	switch {
	case isPair:
		req.SetBasicAuth(id, secret)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	default:
		req.Header.Set("Authorization", "Bearer "+credential)
		if body != "" {
			req.Header.Set("Content-Type", "application/json")
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil
	}
	return resp.StatusCode, answer
}
