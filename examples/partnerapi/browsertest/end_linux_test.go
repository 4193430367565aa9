package browsertest

import (
	"os/exec"
	"syscall"
)

// endWithParent makes a program end with this one, even if that is killed.
func endWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
