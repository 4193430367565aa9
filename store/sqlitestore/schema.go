package sqlitestore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

//go:embed migrations/*.sql
var embedded embed.FS

// Migrations returns the files of the migrations, numbered from 0001 without a
// gap, for hosts that read them first or run them with their own tool. Such a
// tool must also do what [Migrate] does: keep the numbers of the files that were
// run in the table claviger_schema (version INTEGER NOT NULL PRIMARY KEY).
func Migrations() fs.FS {
	sub, err := fs.Sub(embedded, "migrations")
	if err != nil {
		panic(err) // the name is a valid one
	}
	return sub
}

// ErrSchema reports a database whose tables are not those of this version of the
// package. [Migrate] makes tables that are missing, and brings older ones up to date.
// It does not touch newer ones.
var ErrSchema = errors.New("sqlitestore: schema of another version")

// Migrate makes the tables of the package in db, or brings them up to date. Their
// names begin with claviger_, and no other table is touched. Migrate runs all
// migrations that are missing in one transaction, during which nobody else can write.
// So any number of processes can call it at once, and a crash leaves nothing half
// done. If nothing is missing, it writes nothing. The error wraps [ErrSchema] if the
// tables are newer than this version of the package, or is the database's.
//
// [Open] calls Migrate. Hosts that use [New] call it when they start or deploy.
func Migrate(ctx context.Context, db *sql.DB) error {
	files, err := migrations()
	if err != nil {
		return err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("sqlitestore: %w", err)
	}
	defer conn.Close()
	have, err := schemaVersion(ctx, conn)
	switch {
	case err != nil:
	case have > len(files):
		err = newer(have, len(files))
	case have < len(files):
		err = migrate(ctx, conn, files)
	}
	if err != nil && !errors.Is(err, ErrSchema) {
		err = fmt.Errorf("sqlitestore: migrating: %w", err)
	}
	return err
}

func newer(have, known int) error {
	return fmt.Errorf("%w: the database has version %d, this program knows none after %d", ErrSchema, have, known)
}

// migrate does what is missing in one transaction.
func migrate(ctx context.Context, conn *sql.Conn, files []string) (err error) {
	// Another process may have migrated since the version was read. So it is read
	// again after the lock is taken.
	if _, err := conn.ExecContext(ctx, "BEGIN EXCLUSIVE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			rollback(ctx, conn)
		}
	}()
	have, err := schemaVersion(ctx, conn)
	if err != nil {
		return err
	}
	if have > len(files) {
		return newer(have, len(files))
	}
	if have == 0 {
		const table = "CREATE TABLE IF NOT EXISTS claviger_schema (version INTEGER NOT NULL PRIMARY KEY) STRICT"
		if _, err := conn.ExecContext(ctx, table); err != nil {
			return err
		}
	}
	for i, text := range files[have:] {
		version := have + i + 1
		if _, err := conn.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("to version %d: %w", version, err)
		}
		if _, err := conn.ExecContext(ctx, "INSERT INTO claviger_schema (version) VALUES (?)", version); err != nil {
			return err
		}
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return err
}

// rollback ends the transaction of conn. If that fails, as when ctx has ended, the
// connection is closed, so that nobody else gets it with the transaction still open.
func rollback(ctx context.Context, conn *sql.Conn) {
	if _, err := conn.ExecContext(ctx, "ROLLBACK"); err != nil {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
}

// migrations returns the texts of the migrations; the first makes version 1.
func migrations() ([]string, error) {
	files := Migrations()
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	texts := make([]string, len(names))
	for i, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		texts[i] = string(text)
	}
	return texts, nil
}

// A querier is a connection, a transaction or a pool.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// schemaVersion returns the number of the last migration that was done, or 0.
func schemaVersion(ctx context.Context, q querier) (version int, err error) {
	var tables int
	const exists = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'claviger_schema'"
	if err := q.QueryRowContext(ctx, exists).Scan(&tables); err != nil {
		return 0, err
	}
	if tables == 0 {
		return 0, nil
	}
	const last = "SELECT coalesce(max(version), 0) FROM claviger_schema"
	err = q.QueryRowContext(ctx, last).Scan(&version)
	return version, err
}

// checkSchema returns nil if the tables are those of this version.
func checkSchema(ctx context.Context, db *sql.DB) error {
	files, err := migrations()
	if err != nil {
		return err
	}
	have, err := schemaVersion(ctx, db)
	switch {
	case err != nil:
		return fmt.Errorf("sqlitestore: %w", err)
	case have < len(files):
		return fmt.Errorf("%w: the database has version %d, this program needs %d; call Migrate first", ErrSchema, have, len(files))
	case have > len(files):
		return newer(have, len(files))
	}
	return nil
}
