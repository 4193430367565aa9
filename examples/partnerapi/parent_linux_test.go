package main

import (
	"os/exec"
	"syscall"
)

// endsWithParent makes a process end with this one, however that ends.
func endsWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
