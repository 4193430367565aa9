package oauth_test

import (
	"bufio"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the answers in testdata anew")

// TestTranscripts sends the requests in testdata, byte for byte over a socket,
// and compares the answers. They are those of the RFCs' examples and of the
// documentation that this server reproduces, with our own credentials for
// theirs. A file holds a comment, the request, a line of dashes, and the answer.
// In requests, {id}, {secret}, {basic} and {token} stand for credentials and
// {length} for the body's length; in answers, words in braces stand for what
// differs from run to run.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 14 {
		t.Fatalf("%d transcripts, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			request, want, ok := strings.Cut(string(data), "\n----\n")
			comment, request, _ := strings.Cut(request, "\n\n")
			if !ok || !strings.HasPrefix(comment, "#") {
				t.Fatal("not a transcript")
			}
			got := transcribe(t, request)
			if *update {
				if err := os.WriteFile(file, []byte(comment+"\n\n"+request+"\n----\n"+got), 0o666); err != nil {
					t.Fatal(err)
				}
				want = got
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// transcribe sends a request to a server of its own and returns the answer.
func transcribe(t *testing.T, request string) string {
	env := newEnv(t, nil)
	id, secret := env.register("webhooks:manage")
	token := env.token(id, secret)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer "+token { // as the host's middleware would
			r = r.WithContext(keys.NewContext(r.Context(), caller))
		}
		env.mux.ServeHTTP(w, r)
	}))
	defer server.Close()
	head, body, _ := strings.Cut(request, "\n\n")
	fill := strings.NewReplacer("{id}", id, "{secret}", secret, "{token}", token,
		"{basic}", base64.StdEncoding.EncodeToString([]byte(id+":"+secret)))
	body = fill.Replace(strings.TrimSuffix(body, "\n"))
	head = strings.Replace(fill.Replace(head), "{length}", fmt.Sprint(len(body)), 1)

	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, strings.ReplaceAll(head, "\n", "\r\n")+"\r\n\r\n"+body); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{}
	for name, values := range resp.Header {
		if name != "Date" && name != "Content-Length" {
			for _, value := range values {
				lines = append(lines, name+": "+value)
			}
		}
	}
	slices.Sort(lines)
	answer := resp.Proto + " " + resp.Status + "\n" + strings.Join(lines, "\n") + "\n\n" + string(text)
	for _, mask := range masks {
		answer = mask.pattern.ReplaceAllString(answer, mask.word)
	}
	return answer
}

// masks are for what differs from run to run.
var masks = []struct {
	pattern *regexp.Regexp
	word    string
}{
	{regexp.MustCompile(`oauth_[0-9a-f]{88}`), "oauth_{88 hex digits}"},
	{regexp.MustCompile(`cc_[0-9a-f]{16}`), "cc_{16 hex digits}"},
	{regexp.MustCompile(`"[0-9a-f]{64}"`), `"{64 hex digits}"`},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`), "{time}"},
	{regexp.MustCompile(`"(exp|iat)":\d{10}`), `"$1":{seconds}`},
}
