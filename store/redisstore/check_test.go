package redisstore_test

import (
	"errors"
	"testing"

	"github.com/claviger-auth/claviger/store/redisstore"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	problems := []error{redisstore.ErrNotPrimary, redisstore.ErrEvicts, redisstore.ErrNotDurable, redisstore.ErrReplicas}
	for _, row := range []struct {
		name     string
		settings []string
		opts     redisstore.Options
		want     []error
	}{
		{"durable", nil, redisstore.Options{}, nil},
		{"bounded memory", []string{"--maxmemory", "100mb"}, redisstore.Options{}, nil},
		{"evicts all", []string{"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"}, redisstore.Options{}, []error{redisstore.ErrEvicts}},
		{"evicts what expires", []string{"--maxmemory-policy", "volatile-ttl"}, redisstore.Options{}, []error{redisstore.ErrEvicts}},
		{"no log", []string{"--appendonly", "no"}, redisstore.Options{}, []error{redisstore.ErrNotDurable}},
		{"syncs each second", []string{"--appendfsync", "everysec"}, redisstore.Options{}, []error{redisstore.ErrNotDurable}},
		{"never syncs", []string{"--appendfsync", "no"}, redisstore.Options{}, []error{redisstore.ErrNotDurable}},
		{"no replica", nil, redisstore.Options{Replicas: 1}, []error{redisstore.ErrReplicas}},
		{"a replica", []string{"--replicaof", "127.0.0.1 1"}, redisstore.Options{}, []error{redisstore.ErrNotPrimary}},
		{"does not tell", []string{"--rename-command", "CONFIG", ""}, redisstore.Options{}, []error{redisstore.ErrNotDurable}},
		{
			"nearly all",
			[]string{"--appendonly", "no", "--maxmemory-policy", "allkeys-random"},
			redisstore.Options{Replicas: 1},
			[]error{redisstore.ErrEvicts, redisstore.ErrNotDurable, redisstore.ErrReplicas},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := open(t, connect(t, private(t, row.settings...).Socket), row.opts)
			err := s.Check(t.Context())
			if (err == nil) != (row.want == nil) {
				t.Fatal(err)
			}
			for _, problem := range problems {
				wanted := false
				for _, w := range row.want {
					wanted = wanted || w == problem
				}
				if errors.Is(err, problem) != wanted {
					t.Errorf("%v: %v is %t, want %t", err, problem, !wanted, wanted)
				}
			}
		})
	}
}

func TestCheckOfNobody(t *testing.T) {
	t.Parallel()
	s := open(t, connect(t, "/nowhere"), redisstore.Options{})
	err := s.Check(t.Context())
	if err == nil || errors.Is(err, redisstore.ErrNotDurable) {
		t.Error(err)
	}
}
