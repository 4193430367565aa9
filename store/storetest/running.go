package storetest

import (
	"regexp"
	"runtime"
	"strings"
)

// goroutineID returns the number of the goroutine that calls it, as stacks have it.
func goroutineID() string {
	buf := make([]byte, 64)
	buf = buf[:runtime.Stack(buf, false)]
	return strings.Fields(string(buf))[1]
}

// parentID finds the number of the goroutine that made another one.
var parentID = regexp.MustCompile(`\ncreated by .* in goroutine (\d+)`)

// running returns the stacks of a goroutine and of those that it made, and those
// that they made, as far as they are not too long to be read.
func running(id string) string {
	const most = 16 << 10
	buf := make([]byte, 1<<22)
	buf = buf[:runtime.Stack(buf, true)]
	stacks := strings.Split(string(buf), "\n\n")
	var found strings.Builder
	family := map[string]bool{id: true}
	for grown := true; grown; {
		grown = false
		for i, stack := range stacks {
			header, _, _ := strings.Cut(strings.TrimPrefix(stack, "goroutine "), " ")
			parent := parentID.FindStringSubmatch(stack)
			if family[header] || parent != nil && family[parent[1]] {
				family[header], stacks[i], grown = true, "", true
				if found.Len()+len(stack) < most {
					found.WriteString(stack + "\n\n")
				}
			}
		}
	}
	return found.String()
}
