package pgstore_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/claviger-auth/claviger/store/pgstore"
)

// code returns the SQLSTATE of an error of the server, or "".
func code(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	db := struct{ pgstore.DB }{}
	for _, test := range []struct {
		name string
		db   pgstore.DB
		opts *pgstore.Options
		good bool
	}{
		{"no options", db, nil, true},
		{"the zero Options", db, &pgstore.Options{}, true},
		{"a schema", db, &pgstore.Options{Schema: "auth_2"}, true},
		{"the longest schema", db, &pgstore.Options{Schema: strings.Repeat("x", 63)}, true},
		{"no database", nil, nil, false},
		{"a schema that is too long", db, &pgstore.Options{Schema: strings.Repeat("x", 64)}, false},
		{"a schema in upper case", db, &pgstore.Options{Schema: "Auth"}, false},
		{"a schema that begins with a digit", db, &pgstore.Options{Schema: "2auth"}, false},
		{"a schema of the server's", db, &pgstore.Options{Schema: "pg_catalog"}, false},
		{"a schema with a quote", db, &pgstore.Options{Schema: `a"b`}, false},
		{"a schema with a statement", db, &pgstore.Options{Schema: `a; drop table x`}, false},
		{"a schema with a dot", db, &pgstore.Options{Schema: "a.b"}, false},
		{"a schema with a newline", db, &pgstore.Options{Schema: "a\n"}, false},
		{"a schema beyond ASCII", db, &pgstore.Options{Schema: "ä"}, false},
		{"an unknown mode", db, &pgstore.Options{Mode: 17}, false},
		{"a negative mode", db, &pgstore.Options{Mode: -1}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, err := pgstore.New(test.db, test.opts)
			if (err == nil) != test.good || (s != nil) != test.good {
				t.Errorf("New returned %v, %v, want a store: %t", s, err, test.good)
			}
			if test.good {
				return
			}
			if err := pgstore.Migrate(t.Context(), test.db, test.opts); err == nil {
				t.Error("Migrate works with it")
			}
		})
	}
}
