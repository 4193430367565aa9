-- Adds a record. KEYS: the record, its index, the deaths of its shard, all in
-- one slot. ARGV: the ID, the time of death or '', then fields and values.
-- Returns 0 if the ID is taken, else 1.
--
-- The record comes last: nothing before it can be half done and matter. An
-- index that has an ID without a record is what List passes over.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
redis.call('ZADD', KEYS[2], 0, ARGV[1])
if ARGV[2] ~= '' then
  redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1])
end
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
return 1
