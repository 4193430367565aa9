package redisstore

import (
	"crypto/sha1"
	"errors"
	"strconv"
	"strings"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
)

// shardCount is how many shards records are divided into, by their IDs. A record and
// all lists in which it may be are in one shard, and each shard is in one slot of a
// cluster. So every write is one script in one slot, and is atomic. The number is part
// of the layout of the data, and must never change.
const shardCount = 16

// tags are the hash tags of the shards, in their order, two bytes each. The slot of
// each tag is in the middle of one sixteenth of all slots, so that clusters with a
// range of slots for each node spread the shards evenly.
const tags = "185xdj3rd2pvuhiylyh9uvq69s5fdtha"

// A shard is named by its tag.
type shard string

func shardAt(n int) shard { return shard(tags[2*n : 2*n+2]) }

// shardOf returns the shard of an ID.
func shardOf(id string) shard { return shardAt(numberOf(id)) }

// numberOf returns the number of an ID's shard. It uses SHA-1, which scripts can
// compute too. The hash only has to spread IDs evenly, and protects nothing.
func numberOf(id string) int {
	sum := sha1.Sum([]byte(id))
	return int(sum[0] >> 4)
}

// names makes the keys of a store. It is their prefix. The prefix has no braces, so
// the first braces in a key of a shard are those of its tag, by which the server finds
// the slot.
type names string

// parseNames checks a prefix.
func parseNames(prefix string) (names, error) {
	for _, c := range []byte(prefix) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9') && !strings.ContainsRune("_-.", rune(c)) {
			return "", errors.New("redisstore: the prefix has other characters than letters, digits, '_', '-' and '.'")
		}
	}
	if prefix == "" || len(prefix) > 64 {
		return "", errors.New("redisstore: the prefix is not 1 to 64 bytes long")
	}
	return names(prefix), nil
}

func (n names) shard(s shard) string { return string(n) + ":{" + string(s) + "}:" }

// record returns the key of a record, a hash.
func (n names) record(id string) string { return n.shard(shardOf(id)) + "r:" + id }

// A list is one of the sorted sets that have the IDs of a shard of one
// organization and kind.
type list string

const (
	// listLive has the IDs of records that are not revoked. All scores are 0,
	// which orders it bytewise. Releases before format 1 have no other list, and
	// leave the IDs of revoked records there.
	listLive list = "i"
	// listRevoked has the IDs of revoked records. All scores are 0.
	listRevoked list = "x"
	// listEnds has the IDs of listLive whose records expire. The scores are the
	// times at which they do.
	listEnds list = "e"
)

// list returns the key of a list.
func (n names) list(l list, s shard, kind keys.Kind, org string) string {
	return n.shard(s) + string(l) + ":" + string(kind) + ":" + org
}

// lists returns the keys of all lists of an organization and kind.
func (n names) lists(s shard, kind keys.Kind, org string) []string {
	return []string{n.list(listLive, s, kind, org), n.list(listRevoked, s, kind, org), n.list(listEnds, s, kind, org)}
}

// deaths returns the key of the IDs of a shard's tokens, sorted by when they
// expire or were revoked.
func (n names) deaths(s shard) string { return n.shard(s) + "d" }

// orgs returns the key of the organizations that have a record in a shard: a
// sorted set in which all scores are 0.
func (n names) orgs(s shard) string { return n.shard(s) + "o" }

// changes returns the key of what was changed last in a shard, a stream.
func (n names) changes(s shard) string { return n.shard(s) + "c" }

// announcements returns the key of the announcements of caches, a hash. It is in
// the first shard alone; in the others nothing has the key.
func (n names) announcements(s shard) string { return n.shard(s) + "a" }

// whole returns the key of a hash that says since when no announcement can have been
// lost.
func (n names) whole() string { return n.shard(shardAt(0)) + "s" }

// chain returns the key of the entries of an organization's trail that are about IDs
// of a shard, a stream.
func (n names) chain(s shard, org string) string { return n.shard(s) + "t:" + org }

// ends returns the key of where a chain ends and up to where it was cut, a hash.
func (n names) ends(s shard, org string) string { return n.shard(s) + "h:" + org }

// nothing returns a key that never exists.
func (n names) nothing() string { return n.shard(shardAt(0)) + "n" }

// bucket returns the key of a bucket, a string.
func (n names) bucket(b ratelimit.Bucket) string {
	// The end is the same as Bucket.Key. To call that would take a second allocation.
	return string(n) + ":b:" + strconv.Itoa(len(b.Space)) + ":" + b.Space + ":" + b.Name
}
