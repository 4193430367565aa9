package sqlitestore_test

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/sqlitestore"
)

// population is how many keys, and as many tokens with clients of their own, the
// benchmarks of reads have. They do not fit into the cache of a connection.
const population = 20_000

// populated returns a store, the name of its file, and IDs of keys and tokens.
func populated(b *testing.B) (s *sqlitestore.Store, path string, keyIDs, tokenIDs []string) {
	b.Helper()
	path = file(b)
	s = open(b, path)
	db := database(b, hostDSN(path))
	tx, err := db.BeginTx(b.Context(), nil) // one for all: a commit for each takes a minute
	if err != nil {
		b.Fatal(err)
	}
	add, err := tx.PrepareContext(b.Context(), sqlitestore.Statements()[0])
	if err != nil {
		b.Fatal(err)
	}
	for i := range population {
		key, client, token := "key_"+rand.Text()[:22], "cc_"+rand.Text()[:16], "oauth_"+rand.Text()[:24]
		org := fmt.Sprintf("org_%d", i/100)
		for _, r := range [][3]any{{key, keys.KindKey, ""}, {client, keys.KindClient, ""}, {token, keys.KindToken, client}} {
			_, err := add.ExecContext(b.Context(), r[0], string(r[1].(keys.Kind)), org, r[2], "", "", "", start.UnixMilli(),
				"nightly export", "identity:read webhooks:manage", 600, 0, "", "", "",
				"$sha256$v=1$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE", "", nil, nil, 1, 1, never.UnixMilli(), nil)
			if err != nil {
				b.Fatal(err)
			}
		}
		keyIDs, tokenIDs = append(keyIDs, key), append(tokenIDs, token)
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
	return s, path, keyIDs, tokenIDs
}

// BenchmarkRead reads records with the context of a request, which can end, and
// beside it one number of a record with the driver alone.
func BenchmarkRead(b *testing.B) {
	s, path, keyIDs, tokenIDs := populated(b)
	db := database(b, hostDSN(path))
	db.SetMaxIdleConns(8)
	bare, err := db.PrepareContext(b.Context(), "SELECT version FROM claviger_records WHERE id = ?")
	if err != nil {
		b.Fatal(err)
	}
	get := func(ctx context.Context, id string) error { _, _, err := s.Get(ctx, id); return err }
	for _, bench := range []struct {
		name string
		ids  []string
		read func(ctx context.Context, id string) error
	}{
		{"call=driver", keyIDs, func(ctx context.Context, id string) error {
			var version int64
			return bare.QueryRowContext(ctx, id).Scan(&version)
		}},
		{"call=Get", keyIDs, get},
		{"call=Get/kind=token", tokenIDs, get},
		{"call=List/limit=100", keyIDs, func(ctx context.Context, id string) error {
			_, err := s.List(ctx, keys.Query{Org: "org_7", Kind: keys.KindKey, Limit: 100})
			return err
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := bench.read(b.Context(), bench.ids[mathrand.IntN(len(bench.ids))]); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(bench.name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := bench.read(b.Context(), bench.ids[mathrand.IntN(len(bench.ids))]); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
	b.Run("call=Get/outcome=unknown", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := get(b.Context(), "key_ABCDEFGHIJKLMNOPQRSTUV"); err == nil {
				b.Fatal("found")
			}
		}
	})
}

// BenchmarkWrite commits, with a flush to the disk each time; most of the time is
// the disk's. Parallel writers show what taking turns costs and saves.
func BenchmarkWrite(b *testing.B) {
	b.Run("call=driver", func(b *testing.B) {
		db := database(b, hostDSN(file(b)))
		execute(b, db, "CREATE TABLE bare (id TEXT PRIMARY KEY, version INTEGER) STRICT, WITHOUT ROWID")
		bare, err := db.PrepareContext(b.Context(), "INSERT INTO bare VALUES (?, 1)")
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := bare.ExecContext(b.Context(), rand.Text()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("call=Insert", func(b *testing.B) {
		s, r := open(b, file(b)), record(b, keys.KindKey, "")
		b.ReportAllocs()
		for b.Loop() {
			r.ID = rand.Text()
			insert(b, s, r)
		}
	})
	for _, writers := range []int{4, 16} {
		b.Run(fmt.Sprintf("call=Insert/writers=%d", writers), func(b *testing.B) {
			s := open(b, file(b))
			b.SetParallelism(writers)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				r := record(b, keys.KindKey, "")
				for pb.Next() {
					r.ID = rand.Text()
					insert(b, s, r)
				}
			})
		})
	}
	b.Run("call=Update", func(b *testing.B) {
		s, r := open(b, file(b)), record(b, keys.KindKey, "key_1")
		insert(b, s, r)
		b.ReportAllocs()
		for b.Loop() {
			if err := s.Update(b.Context(), r); err != nil {
				b.Fatal(err)
			}
			r.Version++
		}
	})
	b.Run("call=NoteUses/ids=1000", func(b *testing.B) {
		s := open(b, file(b))
		uses := make(map[string]time.Time)
		for i := range 1000 {
			r := record(b, keys.KindKey, fmt.Sprintf("key_%d", i))
			insert(b, s, r)
			uses[r.ID] = start
		}
		now := start
		b.ReportAllocs()
		for b.Loop() {
			now = now.Add(time.Second)
			for id := range uses {
				uses[id] = now
			}
			if err := s.NoteUses(b.Context(), uses); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkOpen opens a file that is there, as a program does at its start.
func BenchmarkOpen(b *testing.B) {
	path := file(b)
	open(b, path)
	b.ReportAllocs()
	for b.Loop() {
		s, err := sqlitestore.Open(path, nil)
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
