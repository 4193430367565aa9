//go:build !unix

package servers

import "syscall"

// attributes returns those of an ordinary process: nobody is root here.
func attributes(*owner) *syscall.SysProcAttr { return nil }
