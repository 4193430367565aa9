package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// faults are what can go wrong with a fleet: its nodes stand still for longer than
// the lease, and its server stands still, loses a backend, or is killed and started.
func (f *fleet) faults() []fault {
	all := []fault{{"a node stands still", func() error {
		return still(1300*time.Millisecond, f.nodes[1].cmd.Process.Pid)
	}}}
	if f.server == nil {
		return all
	}
	return append(all,
		fault{"the server stands still", func() error {
			return still(1300*time.Millisecond, family(f.server.PID())...)
		}},
		fault{"a backend is killed", f.killBackend},
		fault{"the server is killed", func() error {
			f.server.Kill()
			err := f.server.Start()
			for try := 0; err != nil && try < 50; try++ {
				time.Sleep(100 * time.Millisecond) // while processes of the old server end, by their own clock
				err = f.server.Start()
			}
			return err
		}},
	)
}

// still lets processes stand still for a time.
func still(d time.Duration, pids ...int) error {
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil && err != syscall.ESRCH {
			return err
		}
	}
	time.Sleep(d) // which is what goes wrong: longer than the lease, by the processes' own clock
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil && err != syscall.ESRCH {
			return err
		}
	}
	return nil
}

// killBackend kills one of the processes that the server has started. PostgreSQL
// recovers then. Redis has none.
func (f *fleet) killBackend() error {
	for _, pid := range family(f.server.PID())[1:] {
		command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && strings.Contains(string(command), "[local]") { // a client's
			return syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	return nil
}

// family returns a process and those that it has started.
func family(pid int) []int {
	pids := []int{pid}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		_, after, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(after)
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			if child, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids
}
