package sqlitestore_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
)

func TestGet(t *testing.T) {
	t.Parallel()
	s := open(t, file(t))
	client, token, orphan, key := record(t, keys.KindClient, "client"), record(t, keys.KindToken, "token"),
		record(t, keys.KindToken, "orphan"), record(t, keys.KindKey, "key")
	token.Parent = client.ID
	insert(t, s, client, token, orphan, key)
	for _, test := range []struct {
		name   string
		id     string
		rec    keys.Record
		parent keys.Record
		err    error
	}{
		{"a token and its client", "token", token, client, nil},
		{"a token whose client is not there", "orphan", orphan, keys.Record{}, nil},
		{"a client", "client", client, keys.Record{}, nil},
		{"a key", "key", key, keys.Record{}, nil},
		{"nobody", "nobody", keys.Record{}, keys.Record{}, keys.ErrNotFound},
		{"another case", "TOKEN", keys.Record{}, keys.Record{}, keys.ErrNotFound},
		{"no text", "", keys.Record{}, keys.Record{}, keys.ErrNotFound},
		{"NUL", "token\x00", keys.Record{}, keys.Record{}, keys.ErrNotFound},
		{"no UTF-8", "token\xff", keys.Record{}, keys.Record{}, keys.ErrNotFound},
		{"too long", strings.Repeat("x", 256), keys.Record{}, keys.Record{}, keys.ErrNotFound},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			rec, parent, err := s.Get(t.Context(), test.id)
			if !errors.Is(err, test.err) {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if d := diff([]keys.Record{test.rec, test.parent}, []keys.Record{rec, parent}); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// TestParentIsFresh reads a parent right after it was changed, from the same
// store and from another one.
func TestParentIsFresh(t *testing.T) {
	t.Parallel()
	path := file(t)
	a, b := open(t, path), open(t, path)
	client, token := record(t, keys.KindClient, "client"), record(t, keys.KindToken, "token")
	token.Parent = client.ID
	insert(t, a, client, token)
	for range 20 {
		client.Label += "."
		if err := a.Update(t.Context(), client); err != nil {
			t.Fatal(err)
		}
		client.Version++
		for _, s := range []keys.Store{a, b} {
			_, parent, err := s.Get(t.Context(), token.ID)
			if err != nil {
				t.Fatal(err)
			}
			if d := diff(client, parent); d != "" {
				t.Fatalf("(-want +got):\n%s", d)
			}
		}
	}
}

func TestGetWithEndedContext(t *testing.T) {
	t.Parallel()
	s := open(t, file(t))
	insert(t, s, record(t, keys.KindKey, "key"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, id := range []string{"key", "nobody", ""} {
		if _, _, err := s.Get(ctx, id); !errors.Is(err, context.Canceled) {
			t.Errorf("Get(%q): %v", id, err)
		}
	}
}
