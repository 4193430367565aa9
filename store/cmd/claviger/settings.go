package main

import (
	"flag"
	"os"
	"os/user"
	"strings"
	"time"
)

// defaultTimeout is longer than that of a host: an operator can wait.
const defaultTimeout = 10 * time.Second

// maxStoreFile bounds what is read of a file that holds the URL of a store.
const maxStoreFile = 64 << 10

// settings are the flags that all commands have.
type settings struct {
	store, storeFile, config, as string
	json, yes, progress          bool
	timeout                      time.Duration
}

// register defines the flags, with what was read of them before as the default:
// they may stand before the command and after it.
func (s *settings) register(fs *flag.FlagSet) {
	fs.StringVar(&s.store, "store", s.store, "`URL` of the store: sqlite:FILE, postgres://… or redis://…; better in a file, since others see arguments")
	fs.StringVar(&s.storeFile, "store-file", s.storeFile, "`file` that holds the URL of the store")
	fs.StringVar(&s.config, "config", s.config, "`file` with the settings of the host, see claviger help config")
	fs.StringVar(&s.as, "as", s.as, "`name` under which you act; cli:NAME stands in what you make (default the user's)")
	fs.BoolVar(&s.json, "json", s.json, "print JSON, one object a line")
	fs.BoolVar(&s.yes, "yes", s.yes, "ask for no confirmation")
	fs.BoolVar(&s.progress, "progress", s.progress, "report progress on standard error even if that is no terminal")
	fs.DurationVar(&s.timeout, "timeout", s.timeout, "bound on each call of the store, a `time` such as 30s")
}

// actor returns the name that stands in what the operator makes.
func (s *settings) actor() string {
	name := s.as
	if name == "" {
		name = os.Getenv("CLAVIGER_AS")
	}
	if name == "" && os.Geteuid() == 0 {
		name = os.Getenv("SUDO_USER")
	}
	if name == "" {
		if u, err := user.Current(); err == nil {
			name = u.Username
		}
	}
	if name == "" {
		name = "unknown"
	}
	return "cli:" + strings.TrimPrefix(name, "cli:")
}

// storeURL returns the URL of the store, from the first place that names one: the
// flags, the environment, the configuration.
func (s *settings) storeURL(c *config) (string, error) {
	switch {
	case s.store != "" && s.storeFile != "":
		return "", usageError("-store and -store-file exclude each other")
	case s.store != "":
		return s.store, nil
	case s.storeFile != "":
		return readStoreFile(s.storeFile)
	}
	if url := os.Getenv("CLAVIGER_STORE"); url != "" {
		return url, nil
	}
	if c.StoreFile != "" {
		return readStoreFile(c.path(c.StoreFile))
	}
	return "", usageError("no store is named: use -store-file FILE, -store URL or the environment variable CLAVIGER_STORE")
}

// readStoreFile returns what a file holds, without the blanks around it.
func readStoreFile(name string) (string, error) {
	text, err := readFile(name, maxStoreFile)
	if err != nil {
		return "", err
	}
	url := strings.TrimSpace(string(text))
	if url == "" || strings.ContainsAny(url, "\r\n") {
		return "", usageError("%s does not hold one line with the URL of a store", name)
	}
	return url, nil
}
