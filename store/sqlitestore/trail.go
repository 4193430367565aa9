package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"net/netip"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

var _ keys.TrailStore = (*Store)(nil)

const (
	chainText = "SELECT seq, hash, cut_seq, cut_hash FROM claviger_chains WHERE org = ?"

	endChainText = `INSERT INTO claviger_chains (org, seq, hash) VALUES (?1, ?2, ?3)
ON CONFLICT (org) DO UPDATE SET seq = excluded.seq, hash = excluded.hash`

	addEntryText = `INSERT INTO claviger_trail
	(org, seq, at, action, id, kind, version, fields, other, actor, address, reason, count, previous, hash)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

	entriesText = `SELECT seq, at, action, id, kind, version, fields, other, actor, address, reason, count, previous, hash
FROM claviger_trail WHERE org = ? AND seq > ? ORDER BY seq LIMIT ?`

	entryHashText = "SELECT hash FROM claviger_trail WHERE org = ? AND seq = ?"

	cutText = "DELETE FROM claviger_trail WHERE org = ? AND seq <= ?"

	cutChainText = "UPDATE claviger_chains SET cut_seq = ?2, cut_hash = ?3 WHERE org = ?1"
)

// addEntry adds an entry in the transaction of the change that it is about. SQLite
// has one writer at a time, so nobody else adds to the chain meanwhile.
func (s *Store) addEntry(ctx context.Context, tx *sql.Tx, e keys.Entry) error {
	c, err := chainOf(ctx, tx.StmtContext(ctx, s.stmts.chain), e.Org)
	if err != nil {
		return err
	}
	e.Chain = ""
	e = e.Follow(c.Last)
	_, err = tx.StmtContext(ctx, s.stmts.addEntry).ExecContext(ctx,
		e.Org, e.Seq, e.Time.UnixMilli(), string(e.Action), e.ID, string(e.Kind), e.Version, e.Fields, e.Other,
		e.Actor, e.AddressText(), e.Reason, e.Count, e.Previous[:], e.Hash[:])
	if err == nil {
		_, err = tx.StmtContext(ctx, s.stmts.endChain).ExecContext(ctx, e.Org, e.Seq, e.Hash[:])
	}
	return err
}

// chainOf returns the chain of an organization, which is zero if there is none.
func chainOf(ctx context.Context, stmt *sql.Stmt, org string) (c keys.Chain, err error) {
	var hash, cut []byte
	err = stmt.QueryRowContext(ctx, org).Scan(&c.Last.Seq, &hash, &c.Cut.Seq, &cut)
	if errors.Is(err, sql.ErrNoRows) {
		return keys.Chain{}, nil
	}
	c.Last.Hash, c.Cut.Hash = chainHash(hash), chainHash(cut)
	return c, err
}

// chainHash returns the hash in stored, or the zero hash if that is not a hash.
func chainHash(stored []byte) (h keys.ChainHash) {
	if len(stored) == len(h) {
		copy(h[:], stored)
	}
	return h
}

// AddEntry adds an entry that belongs to no change, as [keys.TrailStore] says.
func (s *Store) AddEntry(ctx context.Context, e keys.Entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := e.Validate(); err != nil {
		return err
	}
	return s.transact(ctx, s.db, func(tx *sql.Tx) error { return s.addEntry(ctx, tx, e) })
}

// Chains returns the one chain of an organization, as [keys.TrailStore] says.
func (s *Store) Chains(ctx context.Context, org string) ([]keys.Chain, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !keys.PossibleID(org) { // names have the same rules as IDs
		return []keys.Chain{{}}, nil
	}
	var c keys.Chain
	err := s.patiently(s.until(), func() (err error) {
		c, err = chainOf(ctx, s.stmts.chain, org)
		return err
	})
	if err != nil {
		return nil, err
	}
	return []keys.Chain{c}, nil
}

// Entries returns a page of entries, as [keys.TrailStore] says.
func (s *Store) Entries(ctx context.Context, org, chain string, after int64, limit int) ([]keys.Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if limit < 1 {
		return nil, errLimit
	}
	if chain != "" || !keys.PossibleID(org) {
		return nil, nil
	}
	var page []keys.Entry
	var e keys.Entry
	var at int64
	var address string
	var previous, hash []byte
	dest := []any{
		&e.Seq, &at, &e.Action, &e.ID, &e.Kind, &e.Version, &e.Fields, &e.Other,
		&e.Actor, &address, &e.Reason, &e.Count, &previous, &hash,
	}
	err := s.rows(ctx, s.stmts.entries, []any{org, after, limit}, dest, func() error {
		e.Org, e.Time = org, time.UnixMilli(at).UTC()
		e.Previous, e.Hash = chainHash(previous), chainHash(hash)
		// A text that AddressText does not give was put there by others. The zero
		// hash makes the verification of the trail find it.
		if e.Address, _ = netip.ParseAddr(address); e.AddressText() != address {
			e.Hash = keys.ChainHash{}
		}
		page = append(page, e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

// CutEntries removes entries, as [keys.TrailStore] says.
func (s *Store) CutEntries(ctx context.Context, org, chain string, upTo int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if chain != "" || upTo < 1 || !keys.PossibleID(org) {
		return keys.ErrNotFound
	}
	return s.transact(ctx, s.db, func(tx *sql.Tx) error {
		c, err := chainOf(ctx, tx.StmtContext(ctx, s.stmts.chain), org)
		if err != nil || upTo <= c.Cut.Seq {
			return err
		}
		var hash []byte
		if err := tx.StmtContext(ctx, s.stmts.entryHash).QueryRowContext(ctx, org, upTo).Scan(&hash); err != nil {
			return err
		}
		if _, err := tx.StmtContext(ctx, s.stmts.cut).ExecContext(ctx, org, upTo); err != nil {
			return err
		}
		_, err = tx.StmtContext(ctx, s.stmts.cutChain).ExecContext(ctx, org, upTo, hash)
		return err
	})
}
