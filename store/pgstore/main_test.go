package pgstore_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/claviger-auth/claviger/store/pgstore"
	"github.com/claviger-auth/claviger/store/storetest/servers"
)

// dsnVar names a server to test with in place of a private one. Tests that
// stop their server start a private one in any case.
const dsnVar = "CLAVIGER_TEST_POSTGRES"

// patience bounds what must happen, and may take long on a machine that is busy.
const patience = 30 * time.Second

// deadlocks has servers look for deadlocks early, so that those who wait in one, as the
// kit's batches do, wait less than a second.
const deadlocks = "deadlock_timeout=100ms"

// rounds returns how often to do something: n, or short with go test -short, or
// long with CLAVIGER_LONG in the environment.
func rounds(long, n, short int) int {
	switch {
	case testing.Short():
		return short
	case os.Getenv("CLAVIGER_LONG") != "":
		return long
	}
	return n
}

// atFullLength skips a test unless CLAVIGER_LONG is in the environment.
func atFullLength(t testing.TB) {
	t.Helper()
	if os.Getenv("CLAVIGER_LONG") == "" {
		t.Skip("it takes long: set CLAVIGER_LONG")
	}
}

// shared is the server of all tests that leave it running.
var shared struct {
	sync.Once
	server *servers.Server
	dsn    string
	pool   *pgxpool.Pool
	err    error
}

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		os.Exit(child(role))
	}
	// Most of the time these tests wait for servers, so more of them run at once than
	// there are processors, unless the command line has another number.
	_ = flag.Set("test.parallel", "4")
	code := m.Run()
	if shared.pool != nil {
		shared.pool.Close()
	}
	if shared.server != nil {
		if err := shared.server.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// dsn returns the connection string of the shared server.
func dsn(t testing.TB) string {
	t.Helper()
	shared.Do(func() {
		if shared.dsn = os.Getenv(dsnVar); shared.dsn == "" {
			shared.server, shared.err = servers.Postgres("max_connections=200", deadlocks)
			if shared.err != nil {
				return
			}
			if shared.err = ready(shared.server); shared.err != nil {
				return
			}
			shared.dsn = shared.server.DSN
		}
		shared.pool, shared.err = pgxpool.New(context.Background(), shared.dsn)
	})
	servers.Require(t, shared.err)
	return shared.dsn
}

// start starts a private server, for a test that does things to it. With -short
// there is none but the shared one: to make one takes a second.
func start(t testing.TB, settings ...string) *servers.Server {
	t.Helper()
	if testing.Short() {
		t.Skip("it needs a server of its own")
	}
	server, err := servers.Postgres(append(settings, deadlocks)...)
	servers.Require(t, err)
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := ready(server); err != nil {
		t.Fatal(err)
	}
	return server
}

// restart starts a server that was stopped or killed, and returns when it
// answers. What is left of the old one may take a moment to go.
func restart(t testing.TB, server *servers.Server) {
	t.Helper()
	deadline := time.Now().Add(patience)
	err := server.Start()
	for err != nil && time.Now().Before(deadline) {
		err = server.Start()
	}
	if err == nil {
		err = ready(server)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// ready returns when the server answers: it listens before it does.
func ready(server *servers.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, server.DSN)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

// connect returns a pool on the shared server. Settings such as
// "pool_max_conns=4" are added to the connection string.
func connect(t testing.TB, settings ...string) *pgxpool.Pool {
	t.Helper()
	return connectTo(t, dsn(t), settings...)
}

func connectTo(t testing.TB, dsn string, settings ...string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), with(dsn, settings...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// connectTraced is connect with a tracer.
func connectTraced(t testing.TB, tracer pgx.QueryTracer, settings ...string) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(with(dsn(t), settings...))
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.Tracer = tracer
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// failures counts the statements that the server rolled back.
type failures struct{ n atomic.Int64 }

func (*failures) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

func (f *failures) TraceQueryEnd(_ context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	if code := code(data.Err); code == "40001" || code == "40P01" {
		f.n.Add(1)
	}
}

// with adds settings to a URL.
func with(dsn string, settings ...string) string {
	for _, s := range settings {
		sep := "&"
		if !strings.Contains(dsn, "?") {
			sep = "?"
		}
		dsn += sep + s
	}
	return dsn
}

var schemas atomic.Int64

// schema returns the name of a schema that nobody else uses. It is dropped at
// the end of the test if the server goes on.
func schema(t testing.TB) string {
	t.Helper()
	dsn(t)
	name := fmt.Sprintf("test_%d_%d", os.Getpid(), schemas.Add(1))
	if shared.server == nil {
		t.Cleanup(func() {
			if _, err := shared.pool.Exec(context.Background(), `DROP SCHEMA IF EXISTS `+name+` CASCADE`); err != nil {
				t.Error(err)
			}
		})
	}
	return name
}

// open returns an empty store in a schema of its own on the shared server. A
// nil opts is the zero Options; the schema is set in any case.
func open(t testing.TB, opts *pgstore.Options) *pgstore.Store {
	t.Helper()
	return openIn(t, schema(t), opts)
}

func openIn(t testing.TB, schema string, opts *pgstore.Options) *pgstore.Store {
	t.Helper()
	dsn(t)
	return openOn(t, shared.pool, schema, opts)
}

// openOn is open on another server, or another pool.
func openOn(t testing.TB, db pgstore.DB, schema string, opts *pgstore.Options) *pgstore.Store {
	t.Helper()
	var o pgstore.Options
	if opts != nil {
		o = *opts
	}
	o.Schema = schema
	if err := pgstore.Migrate(t.Context(), db, &o); err != nil {
		t.Fatal(err)
	}
	s, err := pgstore.New(db, &o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
