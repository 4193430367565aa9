package main

import (
	"context"
	"flag"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

var statsCommand = command{
	name: "stats", brief: "count credentials, and tokens that wait for sweep",
	setup: func(fs *flag.FlagSet) action {
		org := fs.String("org", "", "`name` of the organization (default all)")
		return func(ctx context.Context, s *session, _ []string) error {
			if err := s.open(ctx); err != nil {
				return err
			}
			return s.stats(ctx, *org)
		}
	},
}

// walkSize is how many records are read at once by what reads all.
const walkSize = 1000

// A tally counts the credentials of one kind.
type tally struct {
	Live   int `json:"live"`
	Paused int `json:"paused"`
	Ended  int `json:"ended"`
}

// A census counts what an organization has, or what all have.
type census struct {
	Org     string `json:"org,omitempty"`
	Orgs    int    `json:"organizations,omitempty"`
	Keys    tally  `json:"keys"`
	Clients tally  `json:"clients"`
	Tokens  tally  `json:"tokens"` // those that ended wait for sweep

	// OldestKey is when the oldest key was made that has not ended. OldestDead is
	// when the token ended that waits longest for sweep.
	OldestKey  string `json:"oldest_key,omitempty"`
	OldestDead string `json:"oldest_dead_token,omitempty"`

	oldestKey, oldestDead time.Time
}

// add counts a record.
func (c *census) add(rec *keys.Record, now time.Time) {
	t := map[keys.Kind]*tally{keys.KindKey: &c.Keys, keys.KindClient: &c.Clients, keys.KindToken: &c.Tokens}[rec.Kind]
	switch state(rec, now) {
	case "revoked", "expired":
		t.Ended++
		if rec.Kind == keys.KindToken {
			c.oldestDead = earliest(c.oldestDead, rec.Ends())
		}
		return
	case "paused":
		t.Paused++
	default:
		t.Live++
	}
	if rec.Kind == keys.KindKey {
		c.oldestKey = earliest(c.oldestKey, rec.CreatedAt)
	}
}

// join adds what another census counted.
func (c *census) join(o *census) {
	for _, p := range [...][2]*tally{{&c.Keys, &o.Keys}, {&c.Clients, &o.Clients}, {&c.Tokens, &o.Tokens}} {
		p[0].Live += p[1].Live
		p[0].Paused += p[1].Paused
		p[0].Ended += p[1].Ended
	}
	c.oldestKey, c.oldestDead = earliest(c.oldestKey, o.oldestKey), earliest(c.oldestDead, o.oldestDead)
	c.Orgs++
}

// earliest returns the earlier of two times. The zero time stands for none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (c *census) total() int {
	n := 0
	for _, t := range [...]tally{c.Keys, c.Clients, c.Tokens} {
		n += t.Live + t.Paused + t.Ended
	}
	return n
}

// stats counts what the organization only has. If only is empty, it counts what each
// organization has, and what all have together.
func (s *session) stats(ctx context.Context, only string) error {
	p := s.startProgress()
	defer p.end()
	if only != "" {
		c, err := s.count(ctx, only, p, 0)
		if err == nil && c.total() == 0 {
			err = errNoOrg
		}
		if err != nil {
			return err
		}
		p.end()
		t := s.censusTable()
		defer t.end()
		return s.printCensus(t, only, c)
	}
	t := s.censusTable()
	defer t.end()
	var all census
	for org, err := range s.manager.Orgs(ctx, "") {
		if err != nil {
			return err
		}
		c, err := s.count(ctx, org, p, all.total())
		if err != nil {
			return err
		}
		all.join(c)
		if err := s.printCensus(t, org, c); err != nil {
			return err
		}
	}
	p.end()
	return s.printCensus(t, count(all.Orgs, "organization"), &all)
}

// count reads all records of an organization, and counts them. The number before, of
// the records of others that were read, is for the report of progress.
func (s *session) count(ctx context.Context, org string, p *progress, before int) (*census, error) {
	c := &census{Org: org}
	now := time.Now()
	n := before
	for _, kind := range [...]keys.Kind{keys.KindKey, keys.KindClient, keys.KindToken} {
		for rec, err := range s.manager.List(ctx, keys.Query{Org: org, Kind: kind, Limit: walkSize}) {
			if err != nil {
				return nil, err
			}
			c.add(&rec, now)
			if n++; n%walkSize == 0 {
				p.report("%s read, now of %s", count(n, "record"), plain(org))
			}
		}
	}
	return c, nil
}

// censusTable returns a table for the rows of printCensus. For JSON it has no heading.
func (s *session) censusTable() *table {
	if s.json {
		return newTable(s.stdout)
	}
	return newTable(s.stdout, "ORGANIZATION", "KEYS", "PAUSED", "ENDED", "CLIENTS", "PAUSED", "ENDED", "TOKENS", "DEAD", "OLDEST KEY", "DEAD SINCE")
}

func (s *session) printCensus(t *table, name string, c *census) error {
	if s.json {
		c.OldestKey, c.OldestDead = milliseconds(c.oldestKey), milliseconds(c.oldestDead)
		return s.printJSON(c)
	}
	cells := []string{name}
	for _, k := range [...]tally{c.Keys, c.Clients} {
		cells = append(cells, number(k.Live), number(k.Paused), number(k.Ended))
	}
	t.row(append(cells, number(c.Tokens.Live), number(c.Tokens.Ended), instant(c.oldestKey), instant(c.oldestDead))...)
	return nil
}
