package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/redisstore"
	"github.com/claviger-auth/claviger/store/storetest/servers"
)

// A pair is a primary and a replica, which are connected through a proxy.
type pair struct {
	primary, replica *servers.Server
	link             *proxy
	client, other    *redis.Client
}

// replicated starts a pair, and returns when the replica has caught up.
func replicated(t *testing.T) *pair {
	t.Helper()
	// A small timeout would end the link while the proxy holds it up.
	primary := private(t, "--repl-diskless-sync-delay", "0", "--repl-timeout", "600")
	link := through(t, "tcp", primary.Socket)
	replica := private(t, "--replicaof", strings.Replace(link.addr, ":", " ", 1), "--repl-timeout", "600")
	p := &pair{primary, replica, link, connect(t, primary.Socket), connect(t, replica.Socket)}
	recovers(t, "replication", func() error {
		s := open(t, p.client, redisstore.Options{Replicas: 1})
		return s.Check(t.Context())
	})
	return p
}

// failOver ends the primary and promotes the replica, and returns a service of
// that.
func (p *pair) failOver(t *testing.T) *service {
	t.Helper()
	p.primary.Kill()
	must(t, p.other.Do(t.Context(), "REPLICAOF", "NO", "ONE").Err())
	return serve(t, open(t, p.other, redisstore.Options{}))
}

// TestFailoverLoses shows what a failover can lose without Options.Replicas: all
// that the primary acknowledged and had not yet passed on. A key is unknown, and
// a revoked one is good again.
func TestFailoverLoses(t *testing.T) {
	t.Parallel()
	p := replicated(t)
	sv := serve(t, open(t, p.client, redisstore.Options{}))
	id, text := sv.issue(t)
	must(t, p.client.Do(t.Context(), "WAIT", 1, 0).Err())
	caughtUp(t, p, id)

	p.link.stall()
	must(t, sv.Revoke(t.Context(), "acme", keys.KindKey, id))
	_, lost := sv.issue(t)
	wants(t, "a revoked key before the failover", sv.verify(t.Context(), text), keys.ErrRevoked)
	after := p.failOver(t)
	if err := after.verify(t.Context(), text); err != nil {
		t.Errorf("the test does not show what is lost: %v", err)
	}
	wants(t, "a new key after the failover", after.verify(t.Context(), lost), keys.ErrUnknown)
}

// TestDemoted fails over while the old primary lives, cut off from the new one, and
// demotes it then. A service that still reaches it gets no answer from it as soon
// as it is no primary any more, and none before that if it must have a replica.
func TestDemoted(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		demote func(ctx context.Context, p *pair) error
		want   string
	}{
		{"told to follow", func(ctx context.Context, p *pair) error {
			return p.client.Do(ctx, "REPLICAOF", "127.0.0.1", "1").Err()
		}, "READONLY"},
		{"has no replica", func(ctx context.Context, p *pair) error {
			return p.client.ConfigSet(ctx, "min-replicas-to-write", "1").Err()
		}, "NOREPLICAS"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			p := replicated(t)
			s := open(t, p.client, redisstore.Options{Timeout: 10 * time.Second})
			before := serve(t, s)
			id, text := before.issue(t)
			client, err := before.Create(ctx, "acme", keys.Spec{Kind: keys.KindClient})
			must(t, err)
			token, err := before.IssueToken(ctx, client.Record, client.Record.Scopes, time.Hour)
			must(t, err)
			must(t, p.client.Do(ctx, "WAIT", 1, 0).Err())

			must(t, p.other.Do(ctx, "REPLICAOF", "NO", "ONE").Err())
			after := serve(t, open(t, p.other, redisstore.Options{Timeout: 10 * time.Second}))
			recovers(t, "Revoke", func() error { return after.Revoke(ctx, "acme", keys.KindKey, id) })
			must(t, after.Revoke(ctx, "acme", keys.KindClient, client.Record.ID))
			must(t, row.demote(ctx, p))
			recovers(t, "the loss of the replica", func() error {
				if err := p.client.HDel(ctx, "x", "y").Err(); !redis.HasErrorPrefix(err, row.want) {
					return errors.Join(err, errors.New("it still writes"))
				}
				return nil
			})
			for _, text := range []string{text, token.Text.Reveal()} {
				wants(t, "a revoked credential on the old primary", before.verify(ctx, text), keys.ErrUnavailable)
				wants(t, "a revoked credential on the new primary", after.verify(ctx, text), keys.ErrRevoked)
			}
			all := calls(ctx, s)
			all["Insert of an ID that is taken"] = func() error { return s.Insert(ctx, record(keys.KindKey, id)) }
			for name, call := range all {
				if name == "Take" || name == "Migrate" || name == "NoteUses" {
					continue // they ask about nothing that was revoked
				}
				err := call()
				if !redis.HasErrorPrefix(err, row.want) {
					t.Errorf("%s: %v, want %s", name, err, row.want)
				}
				if row.want == "READONLY" {
					wants(t, name, err, redisstore.ErrNotPrimary)
				}
			}
		})
	}
}

// TestReadsWithoutDisk checks that a primary that refuses writes because it cannot
// write to its disk goes on answering.
func TestReadsWithoutDisk(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	srv := private(t, "--appendonly", "no", "--save", "3600 1000000")
	c := connect(t, srv.Socket)
	s := open(t, c, redisstore.Options{Timeout: 10 * time.Second})
	r := record(keys.KindKey, "key")
	must(t, s.Insert(ctx, r))
	must(t, s.NoteUses(ctx, map[string]time.Time{r.ID: created}))
	must(t, os.Mkdir(filepath.Join(srv.Dir, "dump.rdb"), 0o700)) // in place of the file
	recovers(t, "the failure", func() error {
		_ = c.BgSave(ctx).Err() // it may be at it
		if err := s.Update(ctx, r); !redis.HasErrorPrefix(err, "MISCONF") && !strings.Contains(fmt.Sprint(err), "MISCONF") {
			r.Version++
			return errors.Join(err, errors.New("it still writes"))
		}
		return nil
	})
	if _, _, err := s.Get(ctx, r.ID); err != nil {
		t.Errorf("Get: %v", err)
	}
	if page, err := s.List(ctx, keys.Query{Org: "acme", Kind: keys.KindKey, Limit: 1}); len(page) != 1 || err != nil {
		t.Errorf("List: %v, %v", page, err)
	}
	if n, err := s.Count(ctx, "acme", keys.KindKey, created, 9); n != 1 || err != nil {
		t.Errorf("Count: %d, %v", n, err)
	}
	if orgs, err := s.Orgs(ctx, "", 9); len(orgs) != 1 || err != nil {
		t.Errorf("Orgs: %q, %v", orgs, err)
	}
	if uses, err := s.LastUses(ctx, []string{"nobody", r.ID}); len(uses) != 1 || err != nil {
		t.Errorf("LastUses: %v, %v", uses, err)
	}
}

// caughtUp waits until the replica has a record.
func caughtUp(t *testing.T, p *pair, id string) {
	t.Helper()
	recovers(t, "the replica", func() error {
		return p.other.HGet(t.Context(), redisstore.RecordKey(redisstore.DefaultPrefix, id), "org").Err()
	})
}

// TestFailoverKeeps shows that with Options.Replicas what was acknowledged is
// kept, and that what the replica lacks is not acknowledged: nor is a revocation
// that is tried again, until the replica has it.
func TestFailoverKeeps(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := replicated(t)
	s := open(t, p.client, redisstore.Options{Replicas: 1, Timeout: time.Second})
	sv := serve(t, s)
	var id, text, deadID, dead string
	recovers(t, "Create", func() error {
		i, err := sv.Create(ctx, "acme", keys.Spec{})
		if err == nil {
			id, text = i.Record.ID, i.Text.Reveal()
		}
		return err
	})
	recovers(t, "Create", func() error {
		i, err := sv.Create(ctx, "acme", keys.Spec{})
		if err == nil {
			deadID, dead = i.Record.ID, i.Text.Reveal()
		}
		return err
	})

	// A revocation that the replica has is not waited for again.
	r := record(keys.KindKey, "revoked at once")
	r.Version = 1
	recovers(t, "Insert", func() error {
		err := s.Insert(ctx, r)
		if errors.Is(err, keys.ErrExists) {
			return nil
		}
		return err
	})
	r.RevokedAt = created
	must(t, s.Update(ctx, r))
	if pending, err := p.client.HExists(ctx, redisstore.RecordKey(redisstore.DefaultPrefix, r.ID), "pending").Result(); pending || err != nil {
		t.Errorf("a revocation that the replica has is said to be pending: %t, %v", pending, err)
	}

	p.link.stall()
	_, err := sv.Create(ctx, "acme", keys.Spec{})
	wants(t, "Create without a replica", err, redisstore.ErrReplicas)
	for range 3 {
		wants(t, "Revoke without a replica", sv.Revoke(ctx, "acme", keys.KindKey, deadID), redisstore.ErrReplicas)
	}
	// Other processes do not take it for done either, nor let the key in.
	other := serve(t, open(t, connect(t, p.primary.Socket), redisstore.Options{Replicas: 1, Timeout: time.Second}))
	wants(t, "Revoke in another process", other.Revoke(ctx, "acme", keys.KindKey, deadID), redisstore.ErrReplicas)
	err = other.verify(ctx, dead)
	wants(t, "the key meanwhile", err, keys.ErrUnavailable)
	wants(t, "the key meanwhile", err, redisstore.ErrReplicas)
	must(t, other.verify(ctx, text))
	conflict := record(keys.KindKey, id)
	conflict.Version = 99
	wants(t, "a conflict, which waits for nobody", s.Update(ctx, conflict), keys.ErrConflict)

	p.link.heal()
	recovers(t, "Revoke", func() error { return sv.Revoke(ctx, "acme", keys.KindKey, deadID) })
	wants(t, "the key when the replica has it", other.verify(ctx, dead), keys.ErrRevoked)
	if left, err := p.client.HExists(ctx, redisstore.RecordKey(redisstore.DefaultPrefix, deadID), "pending").Result(); left || err != nil {
		t.Errorf("the record is still said to be pending: %t, %v", left, err)
	}
	after := p.failOver(t)
	must(t, after.verify(ctx, text))
	wants(t, "a revoked key after the failover", after.verify(ctx, dead), keys.ErrRevoked)
}

// TestReplicasAreMissing has no replica at all.
func TestReplicasAreMissing(t *testing.T) {
	if testing.Short() {
		t.Skip("three calls wait for two seconds each")
	}
	t.Parallel()
	c := connect(t, server(t).Socket)
	p := prefix()
	s := open(t, c, redisstore.Options{Prefix: p, Replicas: 1, Timeout: 2 * time.Second})
	patient := open(t, c, redisstore.Options{Prefix: p, Replicas: 1}) // for what waits for no replica
	r := record(keys.KindKey, "key")
	err := s.Insert(t.Context(), r)
	wants(t, "Insert", err, redisstore.ErrReplicas)
	// The server gave up before the client did, and said how many there are.
	if errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "0 of 1") {
		t.Errorf("Insert: %v, want the server's answer", err)
	}
	wants(t, "Insert again", patient.Insert(t.Context(), r), keys.ErrExists)
	wants(t, "Update", s.Update(t.Context(), r), redisstore.ErrReplicas)
	got, _, err := patient.Get(t.Context(), r.ID)
	if err != nil || got.Version != 2 {
		t.Errorf("the record: %+v, %v", got, err)
	}
	// Buckets are worth no waiting.
	if d, err := patient.Take(t.Context(), acme, daily(1), time.Time{}, 1); err != nil || !d.Allowed {
		t.Errorf("Take: %+v, %v", d, err)
	}
	got.RevokedAt = created
	wants(t, "Update that revokes", s.Update(t.Context(), got), redisstore.ErrReplicas)
	if _, _, err := s.Get(t.Context(), r.ID); !errors.Is(err, redisstore.ErrReplicas) {
		t.Errorf("Get of a revocation that no replica has: %v", err)
	}
}
