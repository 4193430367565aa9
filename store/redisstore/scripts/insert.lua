-- Adds a record. KEYS: the record, the list for it, the list of ends, the deaths
-- and the organizations of its shard, all in one slot. ARGV: the ID, the
-- organization, when the record expires or '', when a token ends or '', then
-- fields and values. Returns 0 if the ID is taken, else 1.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return refusal() or 0
end
if entry and entry.late then
  return entry.late
end
if entry then
  entry.add()
end
redis.call('ZADD', KEYS[2], 0, ARGV[1])
if ARGV[3] ~= '' then
  redis.call('ZADD', KEYS[3], ARGV[3], ARGV[1])
end
if ARGV[4] ~= '' then
  redis.call('ZADD', KEYS[4], ARGV[4], ARGV[1])
end
redis.call('ZADD', KEYS[5], 0, ARGV[2])
redis.call('HSET', KEYS[1], unpack(ARGV, 5))
return 1
