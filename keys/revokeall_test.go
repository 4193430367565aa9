package keys_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store/storetest"
)

func TestRevokeAll(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	var texts []string
	for range 120 {
		texts = append(texts, env.create(keys.Spec{}).Text.Reveal())
	}
	_, _, _, tokenText := pair(t, env)
	texts = append(texts, tokenText)
	other, err := env.manager.Create(t.Context(), "globex", keys.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := env.manager.RevokeAll(t.Context(), "acme"); n != 121 || err != nil {
		t.Errorf("revoked %d, %v; want 120 keys and a client", n, err)
	}
	for _, text := range texts {
		if _, err := env.verify(text); err != keys.ErrRevoked {
			t.Fatalf("a credential goes on: %v", err)
		}
	}
	if _, err := env.verify(other.Text.Reveal()); err != nil {
		t.Errorf("another organization's key: %v", err)
	}
	if n, err := env.manager.RevokeAll(t.Context(), "acme"); n != 0 || err != nil {
		t.Errorf("again: %d, %v", n, err)
	}
	env.create(keys.Spec{})
	cause := errors.New("down")
	for _, method := range []storetest.Method{storetest.Update, storetest.List} {
		env.faults.Fail(method, 1, cause)
		if n, err := env.manager.RevokeAll(t.Context(), "acme"); n != 0 || !errors.Is(err, cause) {
			t.Errorf("a store that fails: %d, %v", n, err)
		}
	}
	if n, err := env.manager.RevokeAll(t.Context(), "acme"); n != 1 || err != nil {
		t.Errorf("after that: %d, %v", n, err)
	}
}

// TestRevokeAllWhileKeysAreMade makes one more key whenever one is revoked, for a
// while.
func TestRevokeAllWhileKeysAreMade(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	env.create(keys.Spec{})
	made := 1
	var again func(string)
	again = func(string) {
		// Its ID comes before those that the pass has seen, and after them.
		rec := goodRecord(t, []keys.Kind{keys.KindKey, keys.KindClient}[made%2])
		rec.ID = fmt.Sprintf("%c_late%d", "az"[made%2], made)
		env.insert(rec)
		if made++; made < 9 {
			env.after = again
		}
	}
	env.after = again
	if n, err := env.manager.RevokeAll(t.Context(), "acme"); n != 9 || err != nil {
		t.Errorf("revoked %d, %v", n, err)
	}
	for id, rec := range env.records() {
		if !rec.Revoked() {
			t.Errorf("%s is alive", id)
		}
	}
}

// TestRevokeAllReadsTheLive counts what an organization costs that has revoked many
// keys: no reads of single records, and lists of those that are left.
func TestRevokeAllReadsTheLive(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	dead := 4000
	if testing.Short() {
		dead = 400
	}
	for i := range dead {
		rec := goodRecord(t, keys.KindKey)
		rec.ID, rec.RevokedAt = fmt.Sprintf("key_%d", i), rec.CreatedAt
		env.insert(rec)
	}
	for range 3 {
		env.create(keys.Spec{})
	}
	if n, err := env.manager.RevokeAll(t.Context(), "acme"); n != 3 || err != nil {
		t.Errorf("revoked %d, %v", n, err)
	}
	gets, lists, updates := env.faults.Calls(storetest.Get), env.faults.Calls(storetest.List), env.faults.Calls(storetest.Update)
	if gets != 0 || lists != 4 || updates != 3 {
		t.Errorf("%d reads, %d lists, %d updates; want 0, 4 and 3", gets, lists, updates)
	}
}

// A budget is a store that stops answering after a number of calls.
type budget struct {
	keys.Store
	left int
}

func (b *budget) spend() error {
	if b.left--; b.left < 0 {
		return errDown
	}
	return nil
}

func (b *budget) Get(ctx context.Context, id string) (rec, parent keys.Record, err error) {
	if err := b.spend(); err != nil {
		return rec, parent, err
	}
	return b.Store.Get(ctx, id)
}

func (b *budget) List(ctx context.Context, q keys.Query) ([]keys.Record, error) {
	if err := b.spend(); err != nil {
		return nil, err
	}
	return b.Store.List(ctx, q)
}

func (b *budget) Update(ctx context.Context, r keys.Record) error {
	if err := b.spend(); err != nil {
		return err
	}
	return b.Store.Update(ctx, r)
}

// TestRevocationsConverge calls what revokes many again and again under a budget
// that is too small for all: each call goes on where the one before it stopped.
func TestRevocationsConverge(t *testing.T) {
	t.Parallel()
	const made, calls = 60, 20
	for _, tt := range []struct {
		name   string
		want   int
		revoke func(m *keys.Manager) (int, error)
	}{
		{"all", made + 2, func(m *keys.Manager) (int, error) { return m.RevokeAll(context.Background(), "acme") }},
		{"descendants", made + 1, func(m *keys.Manager) (int, error) {
			return m.RevokeDescendants(context.Background(), "acme", keys.KindKey, "root")
		}},
		{"descendants, by an actor", made + 1, func(m *keys.Manager) (int, error) {
			return m.As(keys.Principal{Org: "acme", Scopes: scopes.MustParse("keys:manage")}).RevokeDescendants(context.Background(), keys.KindKey, "root")
		}},
	} {
		env := newEnv(t, nil)
		for i := range made + 2 {
			rec := goodRecord(t, keys.KindKey)
			rec.Scopes = scopes.MustParse("keys:manage")
			switch rec.ID = fmt.Sprintf("key_%d", i); i {
			case 0:
				rec.ID = "root"
			case 1: // made by nobody
			case 2:
				rec.CreatedBy = "root"
			default: // in lines of three
				rec.CreatedBy = fmt.Sprintf("key_%d", max(2, i-i%3))
			}
			if rec.CreatedBy == rec.ID {
				rec.CreatedBy = "root"
			}
			env.insert(rec)
		}
		b := &budget{Store: env.store}
		manager, err := keys.NewManager(b, &keys.Options{Format: partner, Catalog: catalog})
		if err != nil {
			t.Fatal(err)
		}
		total, rounds := 0, 1
		for ; ; rounds++ {
			b.left = calls
			n, err := tt.revoke(manager)
			if total += n; err == nil {
				break
			}
			if !errors.Is(err, keys.ErrUnavailable) || n < calls-8 {
				t.Fatalf("%s: call %d revoked %d: %v", tt.name, rounds, n, err)
			}
		}
		if total != tt.want || rounds > 6 {
			t.Errorf("%s: %d were revoked by %d calls, want %d", tt.name, total, rounds, tt.want)
		}
	}
}

// stubborn is a store that reports a conflict for each write of one record.
type stubborn struct {
	keys.Store
	id string
}

func (s stubborn) Update(ctx context.Context, r keys.Record) error {
	if r.ID == s.id {
		return keys.ErrConflict
	}
	return s.Store.Update(ctx, r)
}

// TestRevokeAllPassesOver revokes the others where one record cannot be revoked, and
// says which.
func TestRevokeAllPassesOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		for _, id := range []string{"a", "b", "c"} {
			rec := goodRecord(t, keys.KindKey)
			rec.ID, rec.CreatedBy = id, "root"
			env.insert(rec)
		}
		root := goodRecord(t, keys.KindKey)
		root.ID = "root"
		env.insert(root)
		manager, err := keys.NewManager(stubborn{env.store, "b"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		n, err := manager.RevokeDescendants(t.Context(), "acme", keys.KindKey, "root")
		if n != 3 || !errors.Is(err, keys.ErrConflict) || !strings.Contains(err.Error(), `"b"`) {
			t.Errorf("descendants: %d, %v", n, err)
		}
		env.create(keys.Spec{})
		if n, err = manager.RevokeAll(t.Context(), "acme"); n != 1 || !errors.Is(err, keys.ErrConflict) || !strings.Contains(err.Error(), `"b"`) {
			t.Errorf("all: %d, %v", n, err)
		}
		for id, rec := range env.records() {
			if rec.Revoked() != (id != "b") {
				t.Errorf("%s: revoked %t", id, rec.Revoked())
			}
		}
		start := time.Now()
		if err := manager.Revoke(t.Context(), "acme", "", "b"); err != keys.ErrConflict || time.Since(start) > time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

// TestRevokeAllSaysAll has one key that cannot be revoked, and clients that cannot be
// listed: the error says both.
func TestRevokeAllSaysAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, nil)
		rec := goodRecord(t, keys.KindKey)
		rec.ID = "b"
		env.insert(rec)
		manager, err := keys.NewManager(stubborn{&half{env.store}, "b"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := manager.RevokeAll(t.Context(), "acme"); n != 0 || !errors.Is(err, keys.ErrConflict) || !errors.Is(err, keys.ErrUnavailable) {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// half is a store that lists no clients.
type half struct{ keys.Store }

func (h *half) List(ctx context.Context, q keys.Query) ([]keys.Record, error) {
	if q.Kind == keys.KindClient {
		return nil, errDown
	}
	return h.Store.List(ctx, q)
}

// TestRevokeAllTells ends all credentials of an organization: the host is told of each.
func TestRevokeAllTells(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	env.create(keys.Spec{})
	createClient(t, env, keys.Spec{})
	env.types() // of what was made
	if n, err := env.manager.RevokeAll(t.Context(), "acme"); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if told := env.types(); len(told) != 2 || told[0] != keys.Revoked || told[1] != keys.Revoked {
		t.Errorf("told %v", told)
	}
}
