package otelguard

import (
	"context"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store"
)

// Records returns a store that passes calls on to s, and reports how long they take and
// what comes of them. It has the optional interfaces that s has, those of package keys
// that this version knows, and no other methods of s.
//
// A [*store.Memory] is returned as it is: a verifier reads it in place, in less time
// than it takes to measure that. So is a [*keys.Cache], which a verifier knows by its
// type. To measure the store behind a cache, wrap that store, and make the cache over
// the result.
func (t *Telemetry) Records(s keys.Store) keys.Store {
	switch s.(type) {
	case nil, *store.Memory, *keys.Cache:
		return s
	}
	has := 0
	r := records{s, t}
	u, is := s.(keys.UseStore)
	has |= bit(is, withUses)
	c, is := s.(keys.CountStore)
	has |= bit(is, withCount)
	o, is := s.(keys.OrgStore)
	has |= bit(is, withOrgs)
	f, is := s.(keys.Feed)
	has |= bit(is, withFeed)
	return join(has, r, uses{u, t}, count{c, t}, orgs{o, t}, feed{f, t})
}

// The optional interfaces, as bits.
const (
	withUses = 1 << iota
	withCount
	withOrgs
	withFeed
)

func bit(is bool, b int) int {
	if is {
		return b
	}
	return 0
}

// join returns a store with the methods that has says, and no others: whoever gets a
// store asks its type what it can do.
func join(has int, r records, u uses, c count, o orgs, f feed) keys.Store {
	type (
		ru struct {
			records
			uses
		}
		rc struct {
			records
			count
		}
		ro struct {
			records
			orgs
		}
		rf struct {
			records
			feed
		}
		ruc struct {
			ru
			count
		}
		ruo struct {
			ru
			orgs
		}
		ruf struct {
			ru
			feed
		}
		rco struct {
			rc
			orgs
		}
		rcf struct {
			rc
			feed
		}
		rof struct {
			ro
			feed
		}
	)
	switch has {
	case withUses:
		return ru{r, u}
	case withCount:
		return rc{r, c}
	case withOrgs:
		return ro{r, o}
	case withFeed:
		return rf{r, f}
	case withUses | withCount:
		return ruc{ru{r, u}, c}
	case withUses | withOrgs:
		return ruo{ru{r, u}, o}
	case withUses | withFeed:
		return ruf{ru{r, u}, f}
	case withCount | withOrgs:
		return rco{rc{r, c}, o}
	case withCount | withFeed:
		return rcf{rc{r, c}, f}
	case withOrgs | withFeed:
		return rof{ro{r, o}, f}
	case withUses | withCount | withOrgs:
		return struct {
			ruc
			orgs
		}{ruc{ru{r, u}, c}, o}
	case withUses | withCount | withFeed:
		return struct {
			ruc
			feed
		}{ruc{ru{r, u}, c}, f}
	case withUses | withOrgs | withFeed:
		return struct {
			ruo
			feed
		}{ruo{ru{r, u}, o}, f}
	case withCount | withOrgs | withFeed:
		return struct {
			rco
			feed
		}{rco{rc{r, c}, o}, f}
	case withUses | withCount | withOrgs | withFeed:
		return struct {
			ruc
			orgs
			feed
		}{ruc{ru{r, u}, c}, o, f}
	}
	return r
}

// records measure the methods that every store has.
type records struct {
	store keys.Store
	t     *Telemetry
}

func (s records) Insert(ctx context.Context, r keys.Record) error {
	began := time.Now()
	err := s.store.Insert(ctx, r)
	s.t.called(ctx, "insert", began, err)
	return err
}

func (s records) Get(ctx context.Context, id string) (rec, parent keys.Record, err error) {
	began := time.Now()
	rec, parent, err = s.store.Get(ctx, id)
	s.t.called(ctx, "get", began, err)
	return rec, parent, err
}

func (s records) Update(ctx context.Context, r keys.Record) error {
	began := time.Now()
	err := s.store.Update(ctx, r)
	s.t.called(ctx, "update", began, err)
	return err
}

func (s records) List(ctx context.Context, q keys.Query) ([]keys.Record, error) {
	began := time.Now()
	page, err := s.store.List(ctx, q)
	s.t.called(ctx, "list", began, err)
	return page, err
}

func (s records) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	began := time.Now()
	n, err := s.store.Sweep(ctx, before, limit)
	s.t.called(ctx, "sweep", began, err)
	return n, err
}
