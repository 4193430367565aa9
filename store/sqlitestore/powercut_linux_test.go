package sqlitestore_test

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/sqlitestore"
	"github.com/claviger-auth/claviger/store/storetest/servers"
)

func init() { roles["traced"] = workAndStop }

// workAndStop takes some steps and ends without closing the file.
func workAndStop(path string, in *bufio.Scanner, out io.Writer) error {
	if !in.Scan() {
		return in.Err()
	}
	steps, err := strconv.Atoi(in.Text())
	if err != nil {
		return err
	}
	s, err := sqlitestore.Open(path, patient())
	if err != nil {
		return err
	}
	manager, err := keys.NewManager(s, &keys.Options{Trail: true, Timeout: patience})
	if err != nil {
		return err
	}
	w := &worker{manager: manager, org: "acme", report: json.NewEncoder(out)}
	for range steps {
		if err := w.work(); err != nil {
			return err
		}
	}
	return nil
}

// TestPowerCut has a process work while each of its writes and syncs is
// recorded, and then cuts the power at random instants of that record. The disk
// keeps what was synced, and of the rest whatever it likes, sector by sector.
// What was acknowledged holds, what was not is done or not done, and the file is
// whole.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	trace := traceOf(t, rounds(400, 100, 0))
	survived, lost := 0, 0
	for round := range rounds(200, 40, 0) {
		until := rand.IntN(len(trace))
		if round%4 == 0 { // the making of the tables, and the first records
			until = rand.IntN(min(len(trace), 250))
		}
		h, disk := newHistory(), newDisk()
		for i, e := range trace[:until] {
			if e.op == opSay {
				h.add(t, e.data)
			} else if err := disk.apply(i, e); err != nil {
				t.Fatal(err)
			}
		}
		path := file(t)
		lost += disk.cut(t, filepath.Dir(path))
		checkFile(t, path, []*history{h})
		sure, _ := h.made()
		survived += sure
		if t.Failed() {
			t.Fatalf("the power was cut before event %d of %d", until, len(trace))
		}
	}
	t.Logf("%d events; %d records acknowledged and found, %d sectors lost", len(trace), survived, lost)
	if survived == 0 || lost == 0 {
		t.Errorf("%d records were acknowledged, and %d sectors lost: nothing was shown", survived, lost)
	}
}

// TestPowerCutFindsLoss shows that a disk that does not keep what was synced
// loses records that were acknowledged: that the syncs, and nothing else, are
// what [TestPowerCut] rests on.
func TestPowerCutFindsLoss(t *testing.T) {
	t.Parallel()
	trace := traceOf(t, 20)
	h, disk := newHistory(), newDisk()
	working := false
	for i, e := range trace {
		switch {
		case e.op == opSay:
			h.add(t, e.data)
			working = true
		case working && e.op == opSync:
		default:
			if err := disk.apply(i, e); err != nil {
				t.Fatal(err)
			}
		}
	}
	path := file(t)
	disk.keep = 0
	disk.cut(t, filepath.Dir(path))
	open(t, path)
	var records int
	if err := database(t, hostDSN(path)).QueryRowContext(t.Context(), "SELECT count(*) FROM claviger_records").Scan(&records); err != nil {
		t.Fatal(err)
	}
	if sure, _ := h.made(); records >= sure {
		t.Errorf("%d records, and %d were acknowledged: none was lost", records, sure)
	}
}

// An op is what a process asked of the system.
type op int

const (
	opSay      op = iota + 1 // data is a line that was reported
	opCreate                 // of a file that was not there
	opWrite                  // data at offset at
	opTruncate               // to the length at
	opSync                   // of a file, or of the folder
	opRemove
)

// An event is one thing that a process did, in the order in which the system saw
// them.
type event struct {
	op   op
	name string // of the file in its folder; "." is the folder
	data []byte
	at   int64
	// since is for opSync: the number of events that had come when it began. It
	// speaks for these, and takes effect where it stands, when it had ended.
	since int
}

// traceOf has a process take some steps on a new file and returns what it did. With
// -short there are no other processes.
func traceOf(t *testing.T, steps int) []event {
	t.Helper()
	if testing.Short() {
		t.Skip("it needs other processes")
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		servers.Require(t, fmt.Errorf("%w: this test needs strace (apt-get install strace)", servers.ErrNotInstalled))
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := file(t)
	log := filepath.Join(t.TempDir(), "trace")
	cmd := exec.CommandContext(t.Context(), strace, "-f", "-y", "-xx", "-s", "1000000", "-o", log,
		"-e", "trace=?open,openat,write,writev,pwrite64,pwritev,ftruncate,fallocate,fsync,fdatasync,?unlink,unlinkat,?rename,renameat,renameat2",
		"-e", "signal=none", exe)
	cmd.Env = append(os.Environ(), roleVar+"=traced", pathVar+"="+path)
	cmd.Stdin = strings.NewReader(strconv.Itoa(steps) + "\n")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	trace, err := parseTrace(f, filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	return trace
}

var (
	traceLine = regexp.MustCompile(`^\d+ +(\w+)\((.*)$`)
	resumed   = regexp.MustCompile(`^\d+ +<\.\.\. (\w+) resumed>.*= (\S+)`)
	result    = regexp.MustCompile(`\) += (\S+)`)
	openedFD  = regexp.MustCompile(`^\d+<([^>]*)>`)
	quoted    = regexp.MustCompile(`"([^"]*)"`)
)

// parseTrace reads the record of a process that works in a folder.
func parseTrace(r io.Reader, dir string) ([]event, error) {
	var trace []event
	exists := make(map[string]bool)
	begun := make(map[string]event) // the syncs that have not ended, by thread
	in := bufio.NewReaderSize(r, 1<<20)
	for {
		line, err := in.ReadString('\n')
		if err == io.EOF {
			return trace, nil
		}
		if err != nil {
			return nil, err
		}
		line = strings.TrimSuffix(line, "\n")
		thread, _, _ := strings.Cut(line, " ")
		if m := resumed.FindStringSubmatch(line); m != nil {
			if e, ok := begun[thread]; ok && (m[1] == "fsync" || m[1] == "fdatasync") {
				if m[2] != "0" {
					return nil, fmt.Errorf("a sync that failed: %s", line)
				}
				trace = append(trace, e)
				delete(begun, thread)
			}
			continue
		}
		m := traceLine.FindStringSubmatch(line)
		if m == nil {
			continue // a signal, or the end of a thread
		}
		call, args := m[1], m[2]
		var strs []string
		for _, s := range quoted.FindAllStringSubmatch(args, 2) {
			b, err := unhex(s[1])
			if err != nil {
				return nil, fmt.Errorf("%w in %.200s", err, line)
			}
			strs = append(strs, b)
		}
		e := event{}
		if fd := openedFD.FindStringSubmatch(args); fd != nil {
			path, err := unhex(fd[1])
			if err != nil {
				return nil, fmt.Errorf("%w in %.200s", err, line)
			}
			e.name, _ = within(dir, path)
		}
		switch call {
		case "write":
			if strings.HasPrefix(args, "1<") {
				trace = append(trace, event{op: opSay, data: []byte(strs[0])})
			} else if e.name != "" {
				return nil, fmt.Errorf("a write without an offset: %.200s", line)
			}
			continue
		case "open", "openat":
			name, inside := within(dir, strs[0])
			if !inside || exists[name] || !strings.Contains(args, "O_CREAT") {
				continue
			}
			exists[name] = true
			e.op, e.name = opCreate, name
		case "unlink", "unlinkat":
			name, inside := within(dir, strs[0])
			if !inside || !exists[name] {
				continue
			}
			exists[name] = false
			e.op, e.name = opRemove, name
		case "pwrite64", "ftruncate", "fsync", "fdatasync":
			if e.name == "" {
				continue
			}
			plain := strings.TrimSuffix(quoted.ReplaceAllString(args, "_"), " <unfinished ...>")
			if before, _, ok := strings.Cut(plain, ") "); ok {
				plain = before
			}
			numbers := strings.Split(strings.TrimSuffix(plain, ")"), ", ")
			switch call {
			case "pwrite64":
				e.op, e.data = opWrite, []byte(strs[0])
			case "ftruncate":
				e.op = opTruncate
			default:
				e.op, e.since = opSync, len(trace)
				if strings.HasSuffix(line, "<unfinished ...>") {
					begun[thread] = e
					continue
				}
				if ok := result.FindStringSubmatch(line); ok == nil || ok[1] != "0" {
					return nil, fmt.Errorf("a sync that failed: %s", line)
				}
			}
			if e.op != opSync {
				if e.at, err = strconv.ParseInt(numbers[len(numbers)-1], 10, 64); err != nil {
					return nil, fmt.Errorf("%w in %.200s", err, line)
				}
			}
		default:
			if e.name != "" || len(strs) > 0 && strings.HasPrefix(strs[0], dir) {
				return nil, fmt.Errorf("a call that this test does not know: %.200s", line)
			}
			continue
		}
		trace = append(trace, e)
	}
}

// within returns the name of a file in a folder, "." for the folder itself.
func within(dir, path string) (name string, inside bool) {
	name, err := filepath.Rel(dir, path)
	if err != nil || strings.HasPrefix(name, "..") {
		return "", false
	}
	return name, true
}

func unhex(s string) (string, error) {
	b, err := hex.DecodeString(strings.ReplaceAll(s, `\x`, ""))
	return string(b), err
}
