package redisstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
)

var _ keys.TrailStore = (*Store)(nil)

// Fields of the hash that says where a chain ends, and up to where it was cut.
const (
	fieldSeq     = "seq"
	fieldHash    = "hash"
	fieldCut     = "cut"
	fieldCutHash = "cuthash"
)

// fieldEntry is the one field of an entry in the stream that is a chain.
const fieldEntry = "e"

const (
	// maxLate bounds how often a write is tried again because another one has
	// added to its chain. Each time, another write has succeeded.
	maxLate = 256
	// latePause bounds the pause before each try but the first few.
	latePause = 2 * time.Millisecond
	// maxEnds bounds how many ends of chains are remembered.
	maxEnds = 4096
)

// pause waits for up to a time.
func pause(ctx context.Context, most time.Duration) error {
	t := time.NewTimer(rand.N(most))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errCrowded = errors.New("redisstore: others keep adding to the trail")

// ends remembers where chains end, as far as this store knows. If that is outdated, the
// script returns where the chain really ends.
type ends struct {
	mu   sync.Mutex
	last map[string]keys.Link
}

func (e *ends) of(chain string) keys.Link {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.last[chain]
}

func (e *ends) set(chain string, last keys.Link) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.last == nil || len(e.last) >= maxEnds {
		e.last = make(map[string]keys.Link)
	}
	e.last[chain] = last
}

// writeWith is write with one of two scripts: with plain if there is no entry, and
// otherwise with trailed, which adds the entry to the chain of the shard.
func (s *Store) writeWith(ctx context.Context, e *keys.Entry, plain, trailed *script, home shard, names []string, args ...any) (any, error) {
	if e == nil {
		return s.write(ctx, plain, names, args...)
	}
	e.Chain = string(home)
	chain := s.names.chain(home, e.Org)
	names = append(names[:len(names):len(names)], s.names.ends(home, e.Org), chain)
	last := s.ends.of(chain)
	for try := range maxLate {
		next := e.Follow(last)
		text, err := json.Marshal(next)
		if err != nil {
			return nil, fmt.Errorf("redisstore: %w", err)
		}
		answer, err := s.write(ctx, trailed, names, append(args[:len(args):len(args)],
			linkSeq(last), linkHash(last), linkSeq(next.Link()), linkHash(next.Link()), text)...)
		if err != nil {
			return nil, err
		}
		late, ok := answer.([]any)
		if !ok || len(late) != 3 {
			if answer == written {
				s.ends.set(chain, next.Link())
			}
			return answer, nil
		}
		if last, err = parseLink(late[1], late[2]); err != nil {
			return nil, fmt.Errorf("redisstore: the end of the trail: %w: %w", keys.ErrCorrupt, err)
		}
		if try >= 4 {
			if err := pause(ctx, latePause); err != nil {
				return nil, err
			}
		}
	}
	return nil, errCrowded
}

// linkSeq returns the position of a link as it is stored, and "" for the zero Link.
func linkSeq(l keys.Link) string {
	if l.Seq == 0 {
		return ""
	}
	return strconv.FormatInt(l.Seq, 10)
}

// linkHash returns the hash of a link as it is stored, and "" for the zero Link.
func linkHash(l keys.Link) string {
	if l.Seq == 0 {
		return ""
	}
	return l.Hash.String()
}

// parseLink reads what linkSeq and linkHash gave.
func parseLink(seq, hash any) (l keys.Link, err error) {
	seqText, _ := seq.(string)
	hashText, _ := hash.(string)
	if seqText == "" && hashText == "" {
		return l, nil
	}
	if l.Seq, err = integer[int64](seqText, math.MaxInt64-1); err == nil {
		err = l.Hash.UnmarshalText([]byte(hashText))
	}
	if err == nil && l.Seq == 0 {
		err = errNumber
	}
	return l, err
}

// entryFor returns the entry for a write of r, or nil.
func entryFor(ctx context.Context, r *keys.Record) *keys.Entry {
	if e, ok := keys.EntryFor(ctx, r); ok {
		return &e
	}
	return nil
}

// AddEntry adds an entry that belongs to no change, as [keys.TrailStore] says. It
// goes into the chain of the shard of its ID.
func (s *Store) AddEntry(ctx context.Context, e keys.Entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := e.Validate(); err != nil {
		return err
	}
	answer, err := s.writeWith(ctx, &e, nil, addScript, shardOf(e.ID), []string{s.names.ends(shardOf(e.ID), e.Org)})
	if err == nil && answer != written {
		err = errAnswer
	}
	return err
}

// Chains returns the chains of an organization, one for each shard, as
// [keys.TrailStore] says, in one round trip. A link that cannot be read is zero.
func (s *Store) Chains(ctx context.Context, org string) ([]keys.Chain, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	pipe := s.read(ctx)
	var answers [shardCount]*redis.SliceCmd
	for i := range answers {
		answers[i] = pipe.HMGet(ctx, s.names.ends(shardAt(i), org), fieldSeq, fieldHash, fieldCut, fieldCutHash)
	}
	if err := pipe.exec(ctx); err != nil {
		return nil, err
	}
	chains := make([]keys.Chain, shardCount)
	for i, a := range answers {
		f := a.Val()
		chains[i].Name = string(shardAt(i))
		if len(f) == 4 {
			chains[i].Last, _ = parseLink(f[0], f[1])
			chains[i].Cut, _ = parseLink(f[2], f[3])
		}
	}
	return chains, nil
}

// Entries returns a page of entries, as [keys.TrailStore] says, in one round trip.
func (s *Store) Entries(ctx context.Context, org, chain string, after int64, limit int) ([]keys.Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if limit < 1 {
		return nil, errLimit
	}
	home, ok := parseShard(chain)
	if !ok || after == math.MaxInt64 {
		return nil, nil
	}
	// This begins directly after the position, so that entries that others put
	// between two positions are returned too.
	first := "-"
	if after >= 0 {
		first = strconv.FormatInt(after, 10) + "-1"
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	pipe := s.read(ctx)
	found := pipe.XRangeN(ctx, s.names.chain(home, org), first, "+", int64(limit))
	if err := pipe.exec(ctx); err != nil {
		return nil, err
	}
	page := make([]keys.Entry, len(found.Val()))
	for i, m := range found.Val() {
		page[i] = decodeEntry(org, home, m)
	}
	return page, nil
}

// parseShard reads the name of a chain.
func parseShard(chain string) (shard, bool) {
	for i := range shardCount {
		if chain == string(shardAt(i)) {
			return shard(chain), true
		}
	}
	return "", false
}

// decodeEntry reads an entry. If the text is not exactly what this package writes, the
// entry has only its position.
func decodeEntry(org string, home shard, m redis.XMessage) keys.Entry {
	position, rest, _ := strings.Cut(m.ID, "-")
	seq, err := strconv.ParseInt(position, 10, 64)
	if err != nil {
		seq = math.MaxInt64
	}
	text, _ := m.Values[fieldEntry].(string)
	var e keys.Entry
	if json.Unmarshal([]byte(text), &e) == nil && e.Seq == seq && rest == "0" && len(m.Values) == 1 {
		if again, err := json.Marshal(e); err == nil && string(again) == text {
			return e
		}
	}
	return keys.Entry{Org: org, Chain: string(home), Seq: seq}
}

// CutEntries removes entries, as [keys.TrailStore] says, in two round trips.
func (s *Store) CutEntries(ctx context.Context, org, chain string, upTo int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	home, ok := parseShard(chain)
	if !ok || upTo < 1 {
		return keys.ErrNotFound
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	id := strconv.FormatInt(upTo, 10) + "-0"
	pipe := s.read(ctx)
	found := pipe.XRange(ctx, s.names.chain(home, org), id, id)
	if err := pipe.exec(ctx); err != nil {
		return err
	}
	var hash, text string
	for _, m := range found.Val() {
		hash = decodeEntry(org, home, m).Hash.String()
		text, _ = m.Values[fieldEntry].(string)
	}
	c, err := run(ctx, s.client, cutScript, []string{s.names.ends(home, org), s.names.chain(home, org)}, upTo, hash, text)
	if err == nil && c.Val() != written {
		err = keys.ErrNotFound
	}
	return err
}
