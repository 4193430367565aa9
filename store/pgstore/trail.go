package pgstore

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/claviger-auth/claviger/keys"
)

var _ keys.TrailStore = (*Store)(nil)

// entryCall returns a call of the function add_entry, whose arguments begin with the
// given number, and entryArgs returns them.
func entryCall(first int) string {
	var text strings.Builder
	text.WriteString("{schema}.add_entry(")
	for i, kind := range [...]string{"text", "bigint", "text", "text", "text", "bigint", "text", "text", "text", "text", "text", "bigint", "bytea"} {
		if i > 0 {
			text.WriteString(", ")
		}
		text.WriteString("$" + strconv.Itoa(first+i) + "::" + kind)
	}
	return text.String() + ")"
}

func entryArgs(e *keys.Entry) []any {
	e.Chain = ""
	return []any{
		e.Org, e.Time.UnixMilli(), string(e.Action), e.ID, string(e.Kind), e.Version, e.Fields, e.Other,
		e.Actor, e.AddressText(), e.Reason, e.Count, e.Content(),
	}
}

var addEntryText = `SELECT {durable}, ` + entryCall(1)

// Hashes are read as hexadecimal text: the text form of a bytea, which some of the modes
// of the driver read, depends on the setting bytea_output.

const chainText = `
SELECT pg_is_in_recovery(), c.seq, encode(c.hash, 'hex'), c.cut_seq, encode(c.cut_hash, 'hex') FROM (VALUES (1)) AS one
LEFT JOIN {schema}.chains AS c ON c.org = $1`

const entriesText = `
SELECT pg_is_in_recovery(), t.seq, t.at, t.action, t.id, t.kind, t.version, t.fields, t.other, t.actor, t.address, t.reason, t.count,
	encode(t.previous, 'hex'), encode(t.hash, 'hex')
FROM (VALUES (1)) AS one
LEFT JOIN LATERAL (
	SELECT * FROM {schema}.trail WHERE org = $1 AND seq > $2::bigint ORDER BY seq LIMIT $3::bigint
) AS t ON true
ORDER BY t.seq`

// cutText returns whether the entries up to the position are cut, by this call or by
// an earlier one.
const cutText = `
WITH place AS MATERIALIZED (
	SELECT seq, hash FROM {schema}.trail WHERE org = $1 AND seq = $2::bigint
), gone AS (
	DELETE FROM {schema}.trail WHERE org = $1 AND seq <= (SELECT seq FROM place)
), noted AS (
	UPDATE {schema}.chains AS c SET cut_seq = p.seq, cut_hash = p.hash FROM place AS p WHERE c.org = $1 AND c.cut_seq < p.seq
	RETURNING {durable}
)
SELECT EXISTS (SELECT FROM noted) OR EXISTS (SELECT FROM {schema}.chains WHERE org = $1 AND cut_seq >= $2::bigint)`

// AddEntry adds an entry that belongs to no change, as [keys.TrailStore] says. It
// returns when the entry is on disk, and its errors mean what those of Insert do.
func (s *Store) AddEntry(ctx context.Context, e keys.Entry) error {
	if err := e.Validate(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return failed("add entry", err)
	}
	err := s.run(ctx, func(db DB) error {
		_, err := db.Exec(ctx, s.sql.addEntry, s.args(entryArgs(&e)...)...)
		return err
	})
	if err != nil {
		return failed("add entry", err)
	}
	return nil
}

// Chains returns the one chain of an organization, as [keys.TrailStore] says, in one
// round trip.
func (s *Store) Chains(ctx context.Context, org string) ([]keys.Chain, error) {
	if err := ctx.Err(); err != nil {
		return nil, failed("chains", err)
	}
	if !keys.PossibleID(org) { // names have the same rules as IDs
		return []keys.Chain{{}}, nil
	}
	var standby bool
	var last, cut pgtype.Int8
	var hash, cutHash pgtype.Text
	err := s.read(ctx, func(db DB) error {
		return db.QueryRow(ctx, s.sql.chain, s.args(org)...).Scan(&standby, &last, &hash, &cut, &cutHash)
	})
	switch {
	case err != nil:
		return nil, failed("chains", err)
	case standby:
		return nil, ErrStandby
	}
	return []keys.Chain{{
		Cut: keys.Link{Seq: cut.Int64, Hash: chainHash(cutHash)}, Last: keys.Link{Seq: last.Int64, Hash: chainHash(hash)},
	}}, nil
}

// chainHash returns the hash in stored, or the zero hash if that is not a hash.
func chainHash(stored pgtype.Text) (h keys.ChainHash) {
	if b, err := hex.DecodeString(stored.String); err == nil && len(b) == len(h) {
		copy(h[:], b)
	}
	return h
}

// An entryRow is an entry as it stands in the table, or all NULL for none.
type entryRow struct {
	seq, at, version, count         pgtype.Int8
	action, id, kind, fields, other pgtype.Text
	actor, address, reason          pgtype.Text
	previous, hash                  pgtype.Text
}

func (r *entryRow) dest() []any {
	return []any{
		&r.seq, &r.at, &r.action, &r.id, &r.kind, &r.version, &r.fields, &r.other, &r.actor, &r.address, &r.reason, &r.count,
		&r.previous, &r.hash,
	}
}

// entry returns the entry of a row, with the zero Hash if it cannot be read.
func (r *entryRow) entry(org string) keys.Entry {
	e := keys.Entry{
		Org: org, Seq: r.seq.Int64, Time: time.UnixMilli(r.at.Int64).UTC(), Action: keys.Action(r.action.String), ID: r.id.String,
		Kind: keys.Kind(r.kind.String), Version: r.version.Int64, Fields: r.fields.String, Other: r.other.String,
		Actor: r.actor.String, Reason: r.reason.String, Count: r.count.Int64,
		Previous: chainHash(r.previous), Hash: chainHash(r.hash),
	}
	// A text that AddressText does not give was put there by others. The zero hash
	// makes the verification of the trail find it.
	if e.Address, _ = netip.ParseAddr(r.address.String); e.AddressText() != r.address.String {
		e.Hash = keys.ChainHash{}
	}
	return e
}

// Entries returns a page of entries, as [keys.TrailStore] says, in one round trip.
func (s *Store) Entries(ctx context.Context, org, chain string, after int64, limit int) ([]keys.Entry, error) {
	if limit < 1 {
		return nil, errLimit
	}
	if err := ctx.Err(); err != nil {
		return nil, failed("entries", err)
	}
	if chain != "" || !keys.PossibleID(org) {
		return []keys.Entry{}, nil
	}
	found, err := collect(ctx, s, "entries", s.sql.entries, []any{org, after, int64(limit)},
		(*entryRow).dest, func(r *entryRow) bool { return r.seq.Valid })
	if err != nil {
		return nil, err
	}
	page := make([]keys.Entry, len(found))
	for i := range found {
		page[i] = found[i].entry(org)
	}
	return page, nil
}

// CutEntries removes entries, as [keys.TrailStore] says, in one round trip. It needs
// a role that may delete from the table trail, which the other calls do not.
func (s *Store) CutEntries(ctx context.Context, org, chain string, upTo int64) error {
	if err := ctx.Err(); err != nil {
		return failed("cut entries", err)
	}
	if chain != "" || upTo < 1 || !keys.PossibleID(org) {
		return fmt.Errorf("pgstore: entry %d: %w", upTo, keys.ErrNotFound)
	}
	var cut bool
	err := s.run(ctx, func(db DB) error {
		return db.QueryRow(ctx, s.sql.cut, s.args(org, upTo)...).Scan(&cut)
	})
	switch {
	case err != nil:
		return failed("cut entries", err)
	case !cut:
		return fmt.Errorf("pgstore: entry %d: %w", upTo, keys.ErrNotFound)
	}
	return nil
}
