-- Replaces what may change of a record, if the record is as expected. KEYS: the
-- record, the lists of live IDs, of revoked IDs and of ends, the deaths and the
-- changes of its shard, all in one slot. ARGV: the ID; the expected organization,
-- kind, time of revocation ('' for none), and version in both of its forms; the
-- version to write for either form; '1' if the record is revoked now; when it expires
-- or ''; when a token ends or ''; a random word; the number of arguments that set
-- fields, then these, fields and values in turn, and then the fields to drop.
-- Returns 1 if the record was written, and otherwise the fields of the record, so that
-- the caller can say why it was not.
local old = redis.call('HMGET', KEYS[1], 'org', 'kind', 'revoked', 'version')
local version = nil
if old[1] == ARGV[2] and old[2] == ARGV[3] and (old[3] or '') == ARGV[4] then
  -- Versions are compared as text: numbers here are exact only up to 2^53.
  if old[4] == ARGV[5] then
    version = ARGV[7]
  elseif old[4] == ARGV[6] then
    version = ARGV[8]
  end
end
if not version then
  return refusal() or redis.call('HGETALL', KEYS[1])
end
if entry and entry.late then
  return entry.late
end
if ARGV[9] == '1' then
  -- If a server is out of memory, it does not stop a script whose first write needs no
  -- memory.
  redis.call('ZREM', KEYS[2], '')
end
if entry then
  entry.add()
end
changed(KEYS[6], ARGV[12], ARGV[1])
if ARGV[9] == '1' then
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('ZADD', KEYS[3], 0, ARGV[1])
  redis.call('ZREM', KEYS[4], ARGV[1])
elseif ARGV[10] ~= '' then
  redis.call('ZADD', KEYS[4], ARGV[10], ARGV[1])
else
  redis.call('ZREM', KEYS[4], ARGV[1])
end
if old[2] == 'token' then
  if ARGV[11] ~= '' then
    redis.call('ZADD', KEYS[5], ARGV[11], ARGV[1])
  else
    redis.call('ZREM', KEYS[5], ARGV[1])
  end
end
local last = 13 + tonumber(ARGV[13])
redis.call('HSET', KEYS[1], 'version', version, unpack(ARGV, 14, last))
if #ARGV > last then
  redis.call('HDEL', KEYS[1], unpack(ARGV, last + 1))
end
return 1
