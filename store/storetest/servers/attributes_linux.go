package servers

import "syscall"

// attributes returns those of a process that runs as another user, if as is not
// nil, and ends with this one.
func attributes(as *owner) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if as != nil {
		a.Credential = &syscall.Credential{Uid: as.uid, Gid: as.gid}
	}
	return a
}
