package redisstore_test

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// A proxy stands between clients and a server, and spoils the replies.
type proxy struct {
	addr   string // of a Unix socket, or of TCP
	server string

	mu    sync.Mutex
	hold  chan struct{} // replies wait until it is closed; nil if they do not
	left  int           // bytes of replies until connections are cut; below 0 for no end
	once  bool          // only one connection is cut
	conns map[net.Conn]bool
}

// through returns a proxy of a server, on a Unix socket or on TCP.
func through(t testing.TB, network, server string) *proxy {
	t.Helper()
	addr := "127.0.0.1:0"
	if network == "unix" {
		dir, err := os.MkdirTemp("", "proxy") // t.TempDir can be too long for a socket
		must(t, err)
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		addr = filepath.Join(dir, "socket")
	}
	l, err := net.Listen(network, addr)
	must(t, err)
	p := &proxy{addr: l.Addr().String(), server: server, left: -1, conns: make(map[net.Conn]bool)}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			done.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.heal()
		p.cut()
		done.Wait()
	})
	return p
}

// serve passes on what one client and the server say.
func (p *proxy) serve(client net.Conn) {
	server, err := net.Dial("unix", p.server)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	p.conns[client], p.conns[server] = true, true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.conns, client)
		delete(p.conns, server)
		p.mu.Unlock()
	}()
	var up sync.WaitGroup
	up.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	})
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		n, cut := p.pass(n)
		if n > 0 {
			if _, err := client.Write(buf[:n]); err != nil {
				break
			}
		}
		if err != nil || cut {
			break
		}
	}
	_ = client.Close()
	_ = server.Close()
	up.Wait()
}

// pass says how much of n bytes of a reply goes through, and whether the
// connection ends then. It waits if replies are held up.
func (p *proxy) pass(n int) (int, bool) {
	p.mu.Lock()
	hold := p.hold
	p.mu.Unlock()
	if hold != nil {
		<-hold
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left < 0 || n <= p.left {
		if p.left >= 0 {
			p.left -= n
		}
		return n, false
	}
	n, p.left = p.left, 0
	if p.once {
		p.left, p.once = -1, false
	}
	return n, true
}

// stall holds up all replies.
func (p *proxy) stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold = make(chan struct{})
}

// cutAfter lets n more bytes of replies through.
func (p *proxy) cutAfter(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = n
}

// cutOnce lets the next reply get lost, with its connection, and none after it.
func (p *proxy) cutOnce() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left, p.once = 0, true
}

// heal lets all through again, what was held up too.
func (p *proxy) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hold != nil {
		close(p.hold)
	}
	p.hold, p.left, p.once = nil, -1, false
}

// cut ends all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}
