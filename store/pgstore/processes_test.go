package pgstore_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// TestMigrateTogether has eight processes start at once on an empty database.
func TestMigrateTogether(t *testing.T) {
	t.Parallel()
	const processes, rounds = 8, 3
	for range rounds {
		name := schema(t)
		var all []*process
		for range processes {
			all = append(all, play(t, "migrate", dsn(t), name))
		}
		for _, p := range all {
			p.read()
		}
		for _, p := range all {
			p.write("go")
		}
		for _, p := range all {
			if got := p.read(); got != "done" {
				t.Errorf("Migrate said %q", got)
			}
			p.end()
		}
		if rows := value[string](t, shared.pool, `SELECT string_agg(version::text, ' ' ORDER BY version) FROM `+name+`.migrations`); rows != "1 2 3 4 5" {
			t.Errorf("versions %s are recorded, want 1 2 3 4 5", rows)
		}
	}
}

// TestMigrateTogetherAboveReadCommitted has transactions that see the database
// as it was before they waited for their turn.
func TestMigrateTogetherAboveReadCommitted(t *testing.T) {
	t.Parallel()
	name := schema(t)
	var all []*process
	for range 4 {
		all = append(all, play(t, "migrate", with(dsn(t), "default_transaction_isolation=serializable"), name))
	}
	for _, p := range all {
		p.read()
	}
	for _, p := range all {
		p.write("go")
	}
	for _, p := range all {
		p.read()
		p.end()
	}
}

// TestRevocationIsSeen revokes here and checks there, a hundred times, with no
// time in between.
func TestRevocationIsSeen(t *testing.T) {
	t.Parallel()
	name := schema(t)
	m := manager(t, openIn(t, name, nil))
	there := play(t, "verify", dsn(t), name)
	there.read()
	client := create(t, m, keys.Spec{Kind: keys.KindClient})
	token, err := m.IssueToken(t.Context(), client.Record, client.Record.Scopes, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	type credential struct {
		text   string
		kind   keys.Kind // of what is revoked
		revoke string
	}
	list := []credential{{token.Text.Reveal(), keys.KindClient, client.Record.ID}}
	for range 99 {
		key := create(t, m, keys.Spec{})
		list = append(list, credential{key.Text.Reveal(), keys.KindKey, key.Record.ID})
	}
	for i, c := range list {
		there.write(c.text)
		if got := there.read(); got != "good" {
			t.Fatalf("credential %d is %s before it is revoked", i, got)
		}
		if err := m.Revoke(t.Context(), "acme", c.kind, c.revoke); err != nil {
			t.Fatal(err)
		}
		there.write(c.text)
		if got := there.read(); got != "revoked" {
			t.Fatalf("credential %d is %s after it was revoked", i, got)
		}
	}
	there.end()
}

// sharedBurst is that of the limit of takeRole.
const sharedBurst = 300

// TestLimitIsShared has two processes take from one bucket.
func TestLimitIsShared(t *testing.T) {
	t.Parallel()
	name := schema(t)
	openIn(t, name, nil)
	both := []*process{play(t, "take", dsn(t), name), play(t, "take", dsn(t), name)}
	for _, p := range both {
		p.read()
	}
	total := 0
	var each []string
	for _, p := range both {
		p.write(fmt.Sprint(sharedBurst / 4))
	}
	for _, p := range both {
		each = append(each, p.read())
		n, err := strconv.Atoi(each[len(each)-1])
		if err != nil {
			t.Fatal(err)
		}
		total += n
		p.end()
	}
	if total != sharedBurst {
		t.Errorf("%d were admitted, %v by process, want %d", total, each, sharedBurst)
	}
}
