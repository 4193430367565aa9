package redisstore_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/redisstore"
)

// TestNoSecretIsStored issues credentials of all kinds and searches all that
// the server keeps, in memory and on the disk, for their secrets.
func TestNoSecretIsStored(t *testing.T) {
	t.Parallel()
	srv := private(t)
	c := connect(t, srv.Socket)
	s := open(t, c, redisstore.Options{Timeout: 10 * time.Second})
	m, err := keys.NewManager(uncached{s, s}, &keys.Options{Trail: true, Timeout: patience})
	must(t, err)
	ctx := t.Context()

	var secrets []string
	var ids []string
	note := func(i keys.Issued) {
		text := i.Text.Reveal()
		secrets = append(secrets, text, strings.TrimPrefix(strings.TrimPrefix(text, i.Record.ID), "."))
		ids = append(ids, i.Record.ID)
	}
	for range 5 {
		key, err := m.Create(ctx, "acme", keys.Spec{})
		must(t, err)
		note(key)
		client, err := m.Create(ctx, "acme", keys.Spec{Kind: keys.KindClient})
		must(t, err)
		note(client)
		token, err := m.IssueToken(ctx, client.Record, client.Record.Scopes, time.Hour)
		must(t, err)
		note(token)
		rotated, err := m.RotateSecret(ctx, "acme", client.Record.ID, time.Hour)
		must(t, err)
		note(rotated)
		must(t, m.Revoke(ctx, "acme", keys.KindKey, key.Record.ID))
	}
	for name, text := range map[string]string{"memory": dump(t, ctx, c), "disk": files(t, srv.Dir)} {
		if !strings.Contains(text, ids[0]) {
			t.Errorf("the %s holds no records", name)
		}
		for _, secret := range secrets {
			if len(secret) < 20 || strings.Contains(text, secret) {
				t.Errorf("the %s holds a secret", name)
			}
		}
	}
}

// dump returns all keys and values.
func dump(t *testing.T, ctx context.Context, c *redis.Client) string {
	t.Helper()
	var text strings.Builder
	all, err := c.Keys(ctx, "*").Result()
	must(t, err)
	for _, key := range all {
		kind, err := c.Type(ctx, key).Result()
		must(t, err)
		var value any
		switch kind {
		case "hash":
			value, err = c.HGetAll(ctx, key).Result()
		case "zset":
			value, err = c.ZRangeWithScores(ctx, key, 0, -1).Result()
		case "stream":
			value, err = c.XRange(ctx, key, "-", "+").Result()
		default:
			value, err = c.Get(ctx, key).Result()
		}
		must(t, err)
		fmt.Fprintln(&text, key, value)
	}
	return text.String()
}

// files returns the contents of all files in a folder.
func files(t *testing.T, dir string) string {
	t.Helper()
	var all bytes.Buffer
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		all.Write(data)
		return err
	}))
	return all.String()
}
