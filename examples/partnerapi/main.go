// Partnerapi is a complete host: a partner API with keys, scopes, limits, an OAuth
// server, and the management of keys and clients. Run it and paste the commands that it
// prints.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "partnerapi:", err)
		os.Exit(2)
	}
}

// config is what the flags say.
type config struct {
	addr, store, limits, issuer, org, proxies, leaks string
	cache                                            time.Duration
	bootstrap, trail                                 bool
}

func parseFlags(args []string, stderr io.Writer) (c config, err error) {
	fs := flag.NewFlagSet("partnerapi", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&c.addr, "addr", "127.0.0.1:8080", "`address` to listen on, or unix:PATH")
	fs.StringVar(&c.store, "store", "memory", "`place` where records are kept: memory, sqlite:FILE, postgres://… or redis://…")
	fs.StringVar(&c.limits, "limits", "", "`place` where limits are kept: local, store, leased for the store with leases, the URL of another store, or leased:URL (default local for memory and sqlite, else store)")
	fs.DurationVar(&c.cache, "cache", 0, "`lease` of a cache of records, such as 1s; 0 is no cache. Stores with a feed: sqlite, postgres and redis")
	fs.StringVar(&c.issuer, "issuer", "", "base `URL` of this server as its clients see it (default http://ADDR)")
	fs.StringVar(&c.org, "org", "acme", "`name` of the organization to make a key for")
	fs.StringVar(&c.proxies, "proxies", "", "`networks` of trusted proxies, separated by commas; unix stands for peers on a Unix socket")
	fs.StringVar(&c.leaks, "leaks", "", "`file` with GitHub's public keys, to accept its reports of leaked keys at POST /leaks")
	fs.BoolVar(&c.bootstrap, "bootstrap", false, "make a key that holds every scope even if there is one")
	fs.BoolVar(&c.trail, "trail", false, "keep a trail of who did what to which key and client; claviger audit reads it")
	if err := fs.Parse(args); err != nil {
		return c, err
	}
	if fs.NArg() > 0 {
		return c, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	return c, nil
}

// kindOf returns the kind of the store that a flag names. The rest may hold a password.
func kindOf(name string) string {
	kind, _, _ := strings.Cut(name, ":")
	return kind
}

// trusted returns the proxies that the flag names.
func trusted(list string) (*middleware.Proxies, error) {
	var networks []netip.Prefix
	unixSocket := false
	for name := range strings.SplitSeq(list, ",") {
		switch name = strings.TrimSpace(name); name {
		case "":
		case "unix":
			unixSocket = true
		default:
			some, err := keys.ParseNetworks(name)
			if err != nil {
				return nil, fmt.Errorf("-proxies: %q is not a network, such as 10.0.0.0/8", name)
			}
			networks = slices.AppendSeq(networks, some.All())
		}
	}
	return middleware.NewProxies(networks, unixSocket)
}

// listen listens on an address or on a Unix socket. It removes a socket that an earlier
// process has left, and fails if a process still listens on it.
func listen(addr string) (net.Listener, error) {
	path, ok := strings.CutPrefix(addr, "unix:")
	if !ok {
		return net.Listen("tcp", addr)
	}
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return nil, fmt.Errorf("-addr: somebody listens on %s", path)
	} else if errors.Is(err, syscall.ECONNREFUSED) {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	return net.Listen("unix", path)
}

// run runs the program with its arguments, until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	if strings.HasPrefix(c.addr, "unix:") && c.issuer == "" {
		return errors.New("-addr unix:PATH needs -issuer, the URL by which clients reach the proxy")
	}
	proxies, err := trusted(c.proxies)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	s, err := openStores(ctx, c, log)
	if err != nil {
		return err
	}
	defer s.close()
	listener, err := listen(c.addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	if c.issuer == "" {
		c.issuer = "http://" + reachable(listener.Addr())
	}
	api, err := newAPI(s, c.issuer, proxies, log)
	if err != nil {
		return err
	}
	if c.leaks != "" {
		if err := api.acceptReports(c.leaks); err != nil {
			return fmt.Errorf("-leaks: %w", err)
		}
	}
	if err := api.bootstrap(ctx, stdout, c.org, c.bootstrap); err != nil {
		return err
	}
	stopJobs := api.start(ctx)
	defer stopJobs()
	log.Info("serving", "address", listener.Addr().String(), "store", kindOf(c.store))
	err = serve(ctx, listener, api.handler(), log)
	s.logFigures(log)
	return err
}

// serve serves until ctx ends, and then lets the running requests finish.
func serve(ctx context.Context, listener net.Listener, handler http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      15 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	log.Info("shutting down")
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}

// reachable returns an address that a client on this machine can use: a server
// that listens on all addresses is reached on the loopback one.
func reachable(addr net.Addr) string {
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return fmt.Sprintf("127.0.0.1:%d", tcp.Port)
	}
	return addr.String()
}
