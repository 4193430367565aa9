//go:build unix && !linux

package servers

import "syscall"

// attributes returns those of a process that runs as another user, if as is not
// nil.
func attributes(as *owner) *syscall.SysProcAttr {
	a := new(syscall.SysProcAttr)
	if as != nil {
		a.Credential = &syscall.Credential{Uid: as.uid, Gid: as.gid}
	}
	return a
}
