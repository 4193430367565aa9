package redisstore

import (
	"strconv"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
)

// What the tests of this package look at from within.
var ParseInfo = parseInfo

// TakeCall returns the text of the script that takes n requests, and its
// arguments.
func TakeCall(l ratelimit.Limit, n int) (source string, args []any) {
	sc, args := takeCall(l, n)
	return sc.source.(string), args
}

// Tags returns the hash tags of the shards.
func Tags() []string {
	var all []string
	for i := range shardCount {
		all = append(all, string(shardAt(i)))
	}
	return all
}

// RecordKey returns the key of a record.
func RecordKey(prefix, id string) string { return names(prefix).record(id) }

// ListKey returns the key of the list of an ID's shard.
func ListKey(prefix, l string, kind keys.Kind, org, id string) string {
	return names(prefix).list(list(l), shardOf(id), kind, org)
}

// OrgsKey returns the key of the organizations of an ID's shard.
func OrgsKey(prefix, id string) string { return names(prefix).orgs(shardOf(id)) }

// DeathsKey returns the key of the deaths of an ID's shard.
func DeathsKey(prefix, id string) string { return names(prefix).deaths(shardOf(id)) }

// ChangesKey returns the key of the changes of an ID's shard.
func ChangesKey(prefix, id string) string { return names(prefix).changes(shardOf(id)) }

// ShardOf returns the name of an ID's shard, and of its chain.
func ShardOf(id string) string { return string(shardOf(id)) }

// ChainKey returns the key of the chain of an ID's shard.
func ChainKey(prefix, id, org string) string { return names(prefix).chain(shardOf(id), org) }

// EndsAfter returns how many ends of chains are remembered after so many.
func EndsAfter(n int) int {
	var e ends
	for i := range n {
		e.set(strconv.Itoa(i), keys.Link{Seq: 1})
	}
	return len(e.last)
}

// AnnouncementsKey returns the key of the announcements.
func AnnouncementsKey(prefix string) string { return names(prefix).announcements(shardAt(0)) }

// WholeKey returns the key that says since when no announcement can have been lost.
func WholeKey(prefix string) string { return names(prefix).whole() }
