package pgstore_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/pgstore"
	"github.com/claviger-auth/claviger/store/storetest"
)

// A pooler stands between clients and a server in transaction mode, as PgBouncer
// does: each transaction of a client gets the server connection that has been
// idle for longest, and nobody resets it.
type pooler struct {
	t          *testing.T
	listener   net.Listener
	idle       chan *pgconn.HijackedConn
	parameters map[string]string

	mu      sync.Mutex
	clients []net.Conn
	wg      sync.WaitGroup
}

// startPooler starts a pooler with a number of connections to a server and returns
// the connection string of the pooler. With -short there is none.
func startPooler(t *testing.T, dsn string, connections int) string {
	t.Helper()
	if testing.Short() {
		t.Skip("it needs a pooler")
	}
	dir, err := os.MkdirTemp("", "pooler") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	listener, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.6432"))
	if err != nil {
		t.Fatal(err)
	}
	p := &pooler{t: t, listener: listener, idle: make(chan *pgconn.HijackedConn, connections)}
	for range connections {
		conn, err := pgconn.Connect(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		server, err := conn.Hijack()
		if err != nil {
			t.Fatal(err)
		}
		p.parameters = server.ParameterStatuses
		p.idle <- server
	}
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return "postgres:///postgres?sslmode=disable&user=postgres&port=6432&host=" + url.QueryEscape(dir)
}

// close ends all connections, and returns when nothing of the pooler runs.
func (p *pooler) close() {
	p.listener.Close()
	p.mu.Lock()
	for _, c := range p.clients {
		c.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
	for range cap(p.idle) {
		(<-p.idle).Conn.Close()
	}
}

func (p *pooler) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.clients = append(p.clients, client)
		p.mu.Unlock()
		p.wg.Go(func() {
			if err := p.serve(client); err != nil {
				p.t.Errorf("pooler: %v", err)
			}
		})
	}
}

// serve passes the messages of one client on. A client that goes away in the
// middle of a transaction is an error: the store must not do that.
func (p *pooler) serve(client net.Conn) error {
	defer client.Close()
	in := bufio.NewReader(client)
	startup := make([]byte, 4)
	if _, err := io.ReadFull(in, startup); err != nil {
		return nil
	}
	if _, err := io.CopyN(io.Discard, in, int64(binary.BigEndian.Uint32(startup))-4); err != nil {
		return err
	}
	hello := message('R', "\x00\x00\x00\x00")
	for name, value := range p.parameters {
		hello = append(hello, message('S', name+"\x00"+value+"\x00")...)
	}
	if _, err := client.Write(append(hello, message('Z', "I")...)); err != nil {
		return err
	}
	for {
		var batch []byte
		var kind byte
		for kind != 'S' && kind != 'Q' { // Sync and Query are what gets answered
			m, err := receive(in)
			if err != nil || m[0] == 'X' {
				return nil
			}
			kind = m[0]
			batch = append(batch, m...)
		}
		if err := p.transact(client, in, batch); err != nil {
			return err
		}
	}
}

// transact passes on a batch of messages, and more from the same client until
// the transaction is over.
func (p *pooler) transact(client net.Conn, in *bufio.Reader, batch []byte) error {
	server := <-p.idle
	defer func() { p.idle <- server }()
	answers := bufio.NewReader(server.Conn)
	for {
		if _, err := server.Conn.Write(batch); err != nil {
			return err
		}
		var status byte
		for status == 0 {
			m, err := receive(answers)
			if err != nil {
				return err
			}
			if m[0] == 'Z' {
				status = m[5]
			}
			if _, err := client.Write(m); err != nil {
				return err
			}
		}
		if status == 'I' {
			return nil
		}
		batch = nil
		for kind := byte(0); kind != 'S' && kind != 'Q'; {
			m, err := receive(in)
			if err != nil {
				return errors.Join(errGone, err, reset(server.Conn, answers))
			}
			kind = m[0]
			batch = append(batch, m...)
		}
	}
}

var errGone = errors.New("a client has gone in the middle of a transaction")

// reset ends the transaction of a connection to the server, so that the next client
// does not find itself in it.
func reset(server io.Writer, answers *bufio.Reader) error {
	if _, err := server.Write(message('Q', "ROLLBACK\x00")); err != nil {
		return err
	}
	for {
		if m, err := receive(answers); err != nil || m[0] == 'Z' {
			return err
		}
	}
}

// message returns a message of the protocol.
func message(kind byte, body string) []byte {
	m := binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(body)))
	return append(m, body...)
}

// receive reads a message of the protocol.
func receive(r *bufio.Reader) ([]byte, error) {
	m := make([]byte, 5)
	if _, err := io.ReadFull(r, m); err != nil {
		return nil, err
	}
	m = append(m, make([]byte, binary.BigEndian.Uint32(m[1:])-4)...)
	_, err := io.ReadFull(r, m[5:])
	return m, err
}

// TestPooler runs the whole kit behind a pooler, the migrations included, as
// TestPgBouncer does.
func TestPooler(t *testing.T) {
	t.Parallel()
	atFullLength(t)
	server := start(t, "fsync=off")
	host := connectTo(t, server.DSN)
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec} {
		t.Run("mode="+mode.String(), func(t *testing.T) {
			t.Parallel()
			pool := connectTo(t, startPooler(t, server.DSN, 3), "pool_max_conns=8")
			opts := &pgstore.Options{Schema: strings.ReplaceAll(mode.String(), " ", "_"), Mode: mode, SyncTake: mode == pgx.QueryExecModeExec}
			judge(t, host, new(storetest.Options[store.Store]), openOn(t, pool, opts.Schema, opts))
		})
	}
}

// judge runs the whole kit on stores, each of which is emptied for each clause that it
// serves. If there are several, so many clauses run at once. Host is a pool on the same
// server, for what the test has to do by itself.
func judge(t *testing.T, host *pgxpool.Pool, opts *storetest.Options[store.Store], stores ...*pgstore.Store) {
	t.Helper()
	if opts.Race == 0 {
		opts.Race = time.Duration(rounds(150, 40, 5)) * time.Millisecond
	}
	opts.Second = func(t testing.TB, s store.Store) store.Store {
		return s.(*pgstore.Store).With(connectTo(t, host.Config().ConnString()))
	}
	free := make(chan *pgstore.Store, len(stores))
	for _, s := range stores {
		free <- s
	}
	storetest.Test(t, func(t testing.TB) store.Store {
		if len(stores) > 1 {
			t.(*testing.T).Parallel()
		}
		s := <-free
		t.Cleanup(func() { free <- s })
		for _, table := range []string{"records", "uses", "buckets", "announcements"} {
			execute(t, host, `DELETE FROM `+s.Schema()+`.`+table)
		}
		return s
	}, opts)
}

// TestPoolerForgets checks that the pooler of these tests is one behind which
// the driver's default fails.
func TestPoolerForgets(t *testing.T) {
	t.Parallel()
	name := schema(t)
	insert(t, openIn(t, name, nil), record(keys.KindKey, "key"))
	s, err := pgstore.New(connectTo(t, startPooler(t, dsn(t), 3)), &pgstore.Options{Schema: name})
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if _, _, err := s.Get(t.Context(), "key"); code(err) == "26000" { // invalid_sql_statement_name
			return
		}
	}
	t.Error("statements that were prepared by name are known to other connections")
}

// TestCheckBehindPooler checks that Check notices this pooler, however many
// connections it has, and nothing where statements are not prepared.
func TestCheckBehindPooler(t *testing.T) {
	t.Parallel()
	name := schema(t)
	openIn(t, name, nil)
	for connections := range 5 {
		pool := connectTo(t, startPooler(t, dsn(t), connections+1), "pool_max_conns=4")
		for mode, want := range map[pgx.QueryExecMode]error{
			0: pgstore.ErrSettings, pgx.QueryExecModeDescribeExec: pgstore.ErrSettings,
			pgx.QueryExecModeExec: nil, pgx.QueryExecModeCacheDescribe: nil, pgx.QueryExecModeSimpleProtocol: nil,
		} {
			s, err := pgstore.New(pool, &pgstore.Options{Schema: name, Mode: mode})
			if err != nil {
				t.Fatal(err)
			}
			fails(t, fmt.Sprintf("Check over %d connections in mode %d", connections+1, mode), s.Check(t.Context()), want)
		}
	}
}
