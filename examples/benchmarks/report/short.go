package main

import (
	"strings"
)

// authenticators are the peers of the benchmarks of middleware that check who
// calls. The others limit, which is the smaller part of the work.
var authenticators = []string{"fosite", "go-oauth2", "auth0-hs256", "auth0-rs256", "chi-jwtauth"}

// selection is the rows of the short table. What a group or a row is missing
// for is left out.
var selection = []struct {
	title string
	group string
	row   string
	among []string // the peers that do the same work; if nil, all
}{
	{"`Guard.Check`: key, limit and scope", "Check", "claviger", nil},
	{"`Guard.Require`: the same, principal in the context, quota fields", "Path", "claviger", authenticators},
	{"`Guard.Require` without quota fields", "PathBare", "claviger", authenticators},
	{"`Guard.Check` in a handler, without quota fields", "PathBare", "claviger-typed", authenticators},
	{"a wrong secret refused, beside a request accepted", "Reject", "wrong_secret", nil},
	{"the limit's refusal, beside a request accepted", "Reject", "limit", nil},
	{"a request to a real server, beside the bare handler", "Server", "claviger", nil},
	{"a decision of the limiter, one key", "Limiter/keys=1", "claviger", nil},
	{"the same, 1,000 keys", "Limiter/keys=1000", "claviger", nil},
	{"the same, a million keys, cold", "Limiter/keys=1000000", "claviger", nil},
	{"a decision over Redis, one at a time", "RedisLimit/par=1", "claviger", nil},
	{"the same, 16 at once", "RedisLimit/par=16", "claviger", nil},
	{"the same, 64 at once", "RedisLimit/par=64", "claviger", nil},
	{"a check over PostgreSQL with cache and leases, beside memory", "NodesCheck", "postgres-cached-leased", nil},
	{"the same over Redis", "NodesCheck", "redis-cached-leased", nil},
	{"a request to a host over PostgreSQL with cache and leases, beside memory", "NodesServer", "postgres-cached-leased", nil},
	{"the same over Redis", "NodesServer", "redis-cached-leased", nil},
	{"a token for client credentials", "Exchange", "claviger", nil},
	{"memory of a bucket among a million", "BucketMemory/keys=1000000", "claviger", nil},
	{"memory of a record among a million", "RecordMemory/records=1000000", "claviger", nil},
}

// short returns one table of what matters most.
func (r *benchRun) short() string {
	var b strings.Builder
	b.WriteString(r.machine())
	b.WriteString("\n| | Claviger | floor | × | nearest other | × |\n|---|---:|---:|---:|---:|---:|\n")
	for _, s := range selection {
		g := r.group(s.group)
		if g == nil || g.row(s.row) == nil {
			continue
		}
		x, unit := g.row(s.row), g.unit()
		floor, peer := g.floor(s.row), g.nearest(s.among)
		if g.row("accepted") != nil || g.row("memory") != nil {
			peer = nil // the other rows are no peers
		}
		cells := []string{s.title, x.amount(unit), floor.amount(unit), ratio(x, floor, unit), "", ""}
		if peer != nil {
			cells[4], cells[5] = peer.name+" "+peer.amount(unit), ratio(x, peer, unit)
		}
		b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	return b.String()
}

// amount returns the median of a row with its unit, or nothing for no row.
func (x *row) amount(unit string) string {
	if x == nil {
		return ""
	}
	symbol, _, _ := strings.Cut(unit, "/")
	return figure(x.median(unit)) + " " + symbol
}
