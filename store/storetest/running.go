package storetest

import (
	"runtime"
	"strings"
)

// running returns the stacks of the goroutines in which checks are running, as
// far as they are not too long to be read.
func running() string {
	const most = 20 << 10
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var found strings.Builder
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		if strings.Contains(stack, "/storetest.(*probe)") && found.Len()+len(stack) < most {
			found.WriteString(stack + "\n\n")
		}
	}
	return found.String()
}
