//go:build unix

package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/pgstore"
	"github.com/claviger-auth/claviger/store/storetest"
	"github.com/claviger-auth/claviger/store/storetest/servers"
)

// startBouncer starts PgBouncer before a server, and returns the connection string
// of it. Settings are lines such as "default_pool_size=2". With -short there is none.
func startBouncer(t *testing.T, dsn string, settings ...string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("it needs PgBouncer")
	}
	server, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		servers.Require(t, fmt.Errorf("%w: pgbouncer; apt-get install pgbouncer, brew install pgbouncer, or the like", servers.ErrNotInstalled))
	}
	dir, err := os.MkdirTemp("", "pgbouncer") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	lines := append([]string{
		"[databases]",
		fmt.Sprintf("%s = host=%s port=%d user=%s", server.Database, server.Host, server.Port, server.User),
		"[pgbouncer]",
		"listen_port=6432", "unix_socket_dir=" + dir, "auth_type=any", "ignore_startup_parameters=extra_float_digits",
	}, settings...)
	config := filepath.Join(dir, "pgbouncer.ini")
	if err := os.WriteFile(config, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, config)
	if os.Geteuid() == 0 { // as whom PgBouncer refuses to run
		unprivileged(t, cmd, dir, server.Host)
	}
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("PgBouncer:\n%s", log.String())
		}
	})
	bouncer := "postgres:///" + server.Database + "?sslmode=disable&user=" + server.User + "&port=6432&host=" + url.QueryEscape(dir)
	if err := ready(&servers.Server{DSN: bouncer}); err != nil {
		t.Fatal(err)
	}
	return bouncer
}

// unprivileged has a command run as the user to whom the server's socket belongs,
// or else as nobody, and gives that user a folder.
func unprivileged(t *testing.T, cmd *exec.Cmd, dir, socket string) {
	t.Helper()
	var as syscall.Credential
	if info, err := os.Stat(socket); err == nil && info.Sys().(*syscall.Stat_t).Uid != 0 {
		as.Uid, as.Gid = info.Sys().(*syscall.Stat_t).Uid, info.Sys().(*syscall.Stat_t).Gid
	} else {
		u, err := user.Lookup("nobody")
		if err != nil {
			t.Fatal(err)
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		as.Uid, as.Gid = uint32(uid), uint32(gid)
	}
	if err := os.Chown(dir, int(as.Uid), int(as.Gid)); err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &as}
}

// TestCheckBehindPgBouncer checks that Check says no where statements would be
// lost, and yes where not, whichever connection PgBouncer gives out first.
func TestCheckBehindPgBouncer(t *testing.T) {
	t.Parallel()
	name := schema(t)
	openIn(t, name, nil)
	unfit := []pgx.QueryExecMode{0, pgx.QueryExecModeCacheStatement, pgx.QueryExecModeDescribeExec}
	fit := []pgx.QueryExecMode{pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol}
	for _, test := range []struct {
		name       string
		settings   []string
		connection string
		unfit, fit []pgx.QueryExecMode
	}{
		{"transactions", []string{"pool_mode=transaction"}, "pool_max_conns=4", unfit, fit},
		{"transactions over one connection", []string{"pool_mode=transaction", "default_pool_size=1"}, "pool_max_conns=4", unfit, fit},
		{
			"transactions over connections in turn",
			[]string{"pool_mode=transaction", "default_pool_size=2", "min_pool_size=2", "server_round_robin=1"},
			"pool_max_conns=4", unfit, fit,
		},
		{"a mode of the connections", []string{"pool_mode=transaction"}, "default_query_exec_mode=exec", unfit[1:], append(fit, 0)},
		{"sessions", []string{"pool_mode=session"}, "pool_max_conns=4", nil, append(fit, unfit...)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dsn := startBouncer(t, dsn(t), test.settings...)
			check := func(mode pgx.QueryExecMode) error {
				pool := connectTo(t, dsn, test.connection)
				defer pool.Close()
				s, err := pgstore.New(pool, &pgstore.Options{Schema: name, Mode: mode})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				return s.Check(ctx)
			}
			for _, mode := range test.unfit {
				err := check(mode)
				fails(t, fmt.Sprintf("Check in mode %d", mode), err, pgstore.ErrSettings)
				if err == nil || !strings.Contains(err.Error(), "pgx.QueryExecModeExec") || strings.Count(err.Error(), "pgstore: ") != 1 {
					t.Errorf("the error does not say what to set: %v", err)
				}
			}
			for _, mode := range test.fit {
				if err := check(mode); err != nil {
					t.Errorf("Check in mode %d: %v", mode, err)
				}
			}
		})
	}
}

// TestCheckBehindPgBouncerInUse has other clients be busy while Check runs.
func TestCheckBehindPgBouncerInUse(t *testing.T) {
	t.Parallel()
	name := schema(t)
	busy := connectTo(t, startBouncer(t, dsn(t), "pool_mode=transaction", "default_pool_size=4"), "pool_max_conns=4")
	opts := &pgstore.Options{Schema: name, Mode: pgx.QueryExecModeExec}
	s := openOn(t, busy, name, opts)
	insert(t, s, record(keys.KindKey, "key"))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					get(t, s, "key")
				}
			}
		})
	}
	pool := connectTo(t, busy.Config().ConnString(), "pool_max_conns=2")
	prepared, err := pgstore.New(pool, &pgstore.Options{Schema: name})
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		fails(t, "Check", prepared.Check(t.Context()), pgstore.ErrSettings)
		if err := s.Check(t.Context()); err != nil {
			t.Errorf("Check without prepared statements: %v", err)
		}
	}
	close(stop)
	wg.Wait()
}

// TestPgBouncer runs the whole kit behind PgBouncer, the migrations included.
func TestPgBouncer(t *testing.T) {
	t.Parallel()
	atFullLength(t)
	server := start(t, "fsync=off")
	pool := connectTo(t, startBouncer(t, server.DSN, "pool_mode=transaction", "default_pool_size=3"), "pool_max_conns=8")
	opts := &pgstore.Options{Mode: pgx.QueryExecModeExec, SyncTake: true}
	judge(t, connectTo(t, server.DSN), new(storetest.Options[store.Store]), openOn(t, pool, "a", opts), openOn(t, pool, "b", opts), openOn(t, pool, "c", opts))
}
