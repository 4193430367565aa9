package sqlitestore_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/sqlitestore"
)

// A key outlives the program that made it.
func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "claviger.db")
	ctx := context.Background()

	s, err := sqlitestore.Open(path, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	manager, err := keys.NewManager(s, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	issued, err := manager.Create(ctx, "acme", keys.Spec{Label: "nightly export"})
	fmt.Println(issued.Record.Label, err)
	fmt.Println(s.Close())

	s, err = sqlitestore.Open(path, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	verifier, err := keys.NewVerifier(s, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	principal, err := verifier.Verify(ctx, issued.Text.Reveal())
	fmt.Println(principal.Org, err)
	// Output:
	// nightly export <nil>
	// <nil>
	// acme <nil>
}

// Records and limits can stand in one file, which several processes share.
func ExampleStore_Take() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	s, err := sqlitestore.Open(filepath.Join(dir, "claviger.db"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	limiter, err := ratelimit.NewLimiter(s, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	d, err := limiter.Take(context.Background(), "acme", ratelimit.MustPerMinute(600), 1)
	fmt.Println(d.Allowed, d.Remaining, err)
	// Output:
	// true 599 <nil>
}

// Records in a file and limits in the memory of the process are one
// [store.Store] too. The methods by which the file does more than it must, such
// as Count, stay in sight.
func ExampleStore() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	records, err := sqlitestore.Open(filepath.Join(dir, "claviger.db"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer records.Close()
	var s store.Store = &joined{Store: records}

	limiter, err := ratelimit.NewLimiter(s, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	d, err := limiter.Take(context.Background(), "acme", ratelimit.MustPerMinute(600), 1)
	fmt.Println(d.Allowed, d.Remaining, err)

	_, counts := s.(keys.CountStore)
	fmt.Println(counts)
	// Output:
	// true 599 <nil>
	// true
}

type joined struct {
	*sqlitestore.Store
	limits ratelimit.Memory
}

func (j *joined) Take(ctx context.Context, b ratelimit.Bucket, l ratelimit.Limit, now time.Time, n int) (ratelimit.Decision, error) {
	return j.limits.Take(ctx, b, l, now, n)
}

// A host that has a database already keeps records in it, beside its own tables.
func ExampleNew() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()

	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "host.db")+
		"?_busy_timeout=5000&_journal_mode=WAL&_synchronous=FULL&_foreign_keys=on&_txlock=immediate")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	if err := sqlitestore.Migrate(ctx, db); err != nil {
		fmt.Println(err)
		return
	}
	s, err := sqlitestore.New(ctx, db, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	_, _, err = s.Get(ctx, "key_1")
	fmt.Println(err)
	// Output:
	// keys: no such credential
}

// Operators list organizations, and count what each has.
func ExampleStore_Orgs() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	s, err := sqlitestore.Open(filepath.Join(dir, "claviger.db"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	manager, err := keys.NewManager(s, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, org := range []string{"globex", "acme", "acme"} {
		if _, err := manager.Create(ctx, org, keys.Spec{}); err != nil {
			fmt.Println(err)
			return
		}
	}
	orgs, err := s.Orgs(ctx, "", 100)
	fmt.Println(orgs, err)
	for _, org := range orgs {
		n, err := s.Count(ctx, org, keys.KindKey, time.Now(), 1000)
		fmt.Println(org, n, err)
	}
	// Output:
	// [acme globex] <nil>
	// acme 2 <nil>
	// globex 1 <nil>
}
