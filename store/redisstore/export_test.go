package redisstore

// What the tests of this package look at from within.
var ParseInfo = parseInfo

// ClockCall is how the script that takes from a bucket reads the clock.
const ClockCall = "redis.call('TIME')"

// TakeSource returns the script that takes from a bucket.
func TakeSource() string { return takeSource }

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

// DeathsKey returns the key of the deaths of an ID's shard.
func DeathsKey(prefix, id string) string { return names(prefix).deaths(shardOf(id)) }
