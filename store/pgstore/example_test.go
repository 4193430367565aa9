package pgstore_test

import (
	"context"
	"log"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store/pgstore"
)

// A service with keys and limits in PostgreSQL, which any number of processes
// share.
func Example() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, "postgres://app@db.internal/app?target_session_attrs=read-write&pool_max_conns=16")
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	if err := pgstore.Migrate(ctx, pool, nil); err != nil {
		log.Fatal(err)
	}
	db, err := pgstore.New(pool, nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := db.Check(ctx); err != nil {
		log.Fatal(err)
	}

	manager, err := keys.NewManager(db, &keys.Options{
		Catalog: scopes.MustCatalog(scopes.Scope{Name: "reports:read"}),
	})
	if err != nil {
		log.Fatal(err)
	}
	limiter, err := ratelimit.NewLimiter(db, nil)
	if err != nil {
		log.Fatal(err)
	}
	go func() { // one process is enough, and more do no harm
		for range time.Tick(time.Minute) {
			if _, err := manager.Sweep(ctx, time.Now().Add(-time.Hour)); err != nil {
				log.Print(err)
			}
			if _, err := db.SweepBuckets(ctx, 10_000); err != nil {
				log.Print(err)
			}
		}
	}()
	serve(manager, limiter)
}

// serve stands for the rest of the service.
func serve(*keys.Manager, *ratelimit.Limiter) {}

// A key is made together with a row of the host's own: both are there, or
// neither is. The text of the key is handed out only after the commit.
func ExampleStore_With() {
	signUp := func(ctx context.Context, pool *pgxpool.Pool, db *pgstore.Store, partner string) (text keys.Secret, err error) {
		err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `INSERT INTO partners (name) VALUES ($1)`, partner); err != nil {
				return err
			}
			manager, err := keys.NewManager(db.With(tx), nil)
			if err != nil {
				return err
			}
			issued, err := manager.Create(ctx, partner, keys.Spec{Label: "first key"})
			text = issued.Text
			return err
		})
		if err != nil {
			return keys.Secret{}, err
		}
		return text, nil
	}
	_ = signUp
}

// Behind a pooler in transaction mode, statements are not prepared by name.
func ExampleOptions_pooler() {
	pool, err := pgxpool.New(context.Background(), "postgres://app@pgbouncer.internal:6432/app")
	if err != nil {
		log.Fatal(err)
	}
	db, err := pgstore.New(pool, &pgstore.Options{Schema: "auth", Mode: pgx.QueryExecModeExec})
	if err != nil {
		log.Fatal(err)
	}
	_ = db
}
