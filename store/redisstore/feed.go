package redisstore

import (
	"context"
	"crypto/rand"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
)

// word returns a random word, for the changes of one call.
func word() string { return rand.Text()[:13] }

// lostAnnouncements is how long caches may be in use after their announcements
// were lost, with a fifth more for clocks that run at different speed.
const lostAnnouncements = keys.MaxLease + keys.MaxLease/5

// Announce notes that a cache is in use, as [keys.Feed] says. If the server
// denies the command INFO, there can be no cache: the error wraps [ErrNotTold].
func (s *Store) Announce(ctx context.Context, id string, lease time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	names := []string{s.names.announcements(shardAt(0)), s.names.whole()}
	answer, err := s.write(ctx, announceScript, names, id, lease.Milliseconds())
	if err == nil && answer != written {
		return fmt.Errorf("%w: it is marked", keys.ErrNotAnnounced)
	}
	return err
}

// Withdraw removes announcements, as [keys.Feed] says.
func (s *Store) Withdraw(ctx context.Context, ids ...string) error {
	if err := ctx.Err(); err != nil || len(ids) == 0 {
		return err
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	return failure(s.client.HDel(ctx, s.names.announcements(shardAt(0)), ids...).Err())
}

// MarkIdle marks announcements that have not been renewed for a time, as [keys.Feed]
// says. It also returns those that were marked before.
func (s *Store) MarkIdle(ctx context.Context, idle time.Duration) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	name := s.names.announcements(shardAt(0))
	answer, err := s.write(ctx, markScript, []string{name}, idle.Milliseconds())
	if err != nil || answer != written {
		return nil, err
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	pipe := s.read(ctx)
	all := pipe.HGetAll(ctx, name)
	if err := pipe.exec(ctx); err != nil {
		return nil, err
	}
	var ids []string
	for id, text := range all.Val() {
		if strings.Contains(text, "marked") {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// LongestLease returns the longest lease that is announced, as [keys.Feed] says, in
// one round trip. If announcements may have been lost within the last six seconds, it
// returns [keys.MaxLease]. That is so after the server has started, was promoted, took
// over the data of another one, or was emptied. For all but a start, the six seconds
// count from the first call of LongestLease, Announce or [Store.Check] afterwards, since
// the server does not tell when it happened.
func (s *Store) LongestLease(ctx context.Context) (time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	names := []string{s.names.announcements(shardAt(0)), s.names.whole()}
	c, err := run(ctx, s.client, leaseScript, names, lostAnnouncements.Milliseconds())
	if err != nil {
		return 0, err
	}
	ms, err := c.Int64()
	if err != nil {
		return 0, failure(err)
	}
	if ms < 0 {
		return keys.MaxLease, nil
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// A place is the position in one shard: the last change that was read, its word, and
// the past of the server that it belongs to.
type place struct{ past, change, word string }

// placeForm is how the places of a keys.Position are written.
var placeForm = regexp.MustCompile(`^([0-9a-f]{32} \d{1,19}-\d{1,19} [A-Z2-7]{13} ){16}$`)

// parsePosition reads a position. If the text is not one, all places are zero, and no
// server has their past.
func parsePosition(p keys.Position) (places [shardCount]place) {
	if !placeForm.MatchString(string(p)) {
		return places
	}
	fields := strings.Fields(string(p))
	for i := range places {
		places[i] = place{fields[3*i], fields[3*i+1], fields[3*i+2]}
	}
	return places
}

// Poll returns the changes since a position, as [keys.Feed] says, in one round trip.
// Each shard has a list of its changes in their order. The server reads a list, and
// which server it is, in one step.
func (s *Store) Poll(ctx context.Context, id string, after keys.Position) (keys.Changes, error) {
	if err := ctx.Err(); err != nil {
		return keys.Changes{}, err
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	polls := s.polls(id, parsePosition(after))
	calls, err := s.send(ctx, polls, false)
	if unknown(err) {
		calls, err = s.send(ctx, polls, true)
	}
	if err != nil {
		return keys.Changes{}, failure(err)
	}
	var all found
	for _, c := range calls {
		answer, err := c.Slice()
		if err != nil {
			return keys.Changes{}, failure(err)
		}
		if err := all.add(answer); err != nil {
			return keys.Changes{}, err
		}
	}
	if !all.announced {
		return keys.Changes{}, keys.ErrNotAnnounced
	}
	all.Next = keys.Position(all.next.String())
	return all.Changes, nil
}

// A poll is a call of the script for some shards.
type poll struct {
	names []string
	args  []any
}

// polls returns the calls for all shards: one if they are together, else one each.
// The first is for the shard that has the announcements; the others find none.
func (s *Store) polls(id string, places [shardCount]place) (polls []poll) {
	drawn := word()
	for i, at := range places {
		if i == 0 || !s.together {
			polls = append(polls, poll{[]string{s.names.announcements(shardAt(i))}, []any{id, drawn}})
		}
		p := &polls[len(polls)-1]
		p.names = append(p.names, s.names.changes(shardAt(i)))
		p.args = append(p.args, at.past, at.change, at.word)
	}
	return polls
}

// send sends calls in one pipeline. The error is the first of the calls.
func (s *Store) send(ctx context.Context, polls []poll, whole bool) (calls []call, err error) {
	cmds, err := s.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, p := range polls {
			c := pollScript.call(ctx, whole, p.names, p.args)
			calls = append(calls, c)
			if err := pipe.Process(ctx, c); err != nil {
				return err
			}
		}
		return nil
	})
	for _, cmd := range cmds { // a cluster may have sent some to one node, and not to another
		if unknown(cmd.Err()) {
			return calls, cmd.Err()
		}
	}
	return calls, err
}

// found is what the calls for all shards found.
type found struct {
	keys.Changes
	announced bool
	next      strings.Builder
}

// add adds the answer of a call.
func (f *found) add(answer []any) error {
	if len(answer) < 3 {
		return failure(errAnswer)
	}
	f.announced = f.announced || answer[0] == written
	past, ok := answer[1].(string)
	for _, of := range answer[2:] {
		shard, isList := of.([]any)
		if !ok || !isList || len(shard) < 3 {
			return failure(errAnswer)
		}
		f.All = f.All || shard[0] != written
		fmt.Fprintf(&f.next, "%s %s %s ", past, shard[1], shard[2])
		for _, id := range shard[3:] {
			if id, _ := id.(string); id != "" {
				f.IDs = append(f.IDs, id)
			}
		}
	}
	return nil
}
