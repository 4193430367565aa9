package main

import (
	"os/exec"
	"syscall"
)

// endWithParent makes nginx end with this program, even if that is killed. Nginx
// ends its workers then.
func endWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }
