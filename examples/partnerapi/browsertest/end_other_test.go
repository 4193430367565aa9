//go:build !linux

package browsertest

import "os/exec"

// endWithParent does nothing: other systems cannot do that.
func endWithParent(*exec.Cmd) {}
