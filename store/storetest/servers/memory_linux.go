package servers

import "syscall"

// inMemory returns the folder of a file system in memory with room for servers, or "" if
// there is none.
func inMemory() string {
	const dir, room = "/dev/shm", 1 << 30
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil || fs.Bavail*uint64(fs.Bsize) < room {
		return ""
	}
	return dir
}
