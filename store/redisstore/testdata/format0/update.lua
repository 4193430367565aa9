-- Replaces what may change of a record. KEYS: the record, the deaths of its
-- shard, in one slot. ARGV: the ID, the organization, the version expected, the
-- time of revocation or '', the time of death or '', the lifetime of a client's
-- tokens or '', the length of the next part, fields and values to set, fields
-- to drop. Returns 0 if there is no such record, 1 if it was written, 2 on a
-- conflict, 3 if the record is corrupt.
local old = redis.call('HMGET', KEYS[1], 'org', 'kind', 'version', 'revoked')
if not old[1] then
  return redis.call('EXISTS', KEYS[1]) == 1 and 3 or 0
end
if old[1] ~= ARGV[2] then
  return 0
end
-- Versions are compared as text: numbers here are exact only up to 2^53.
if old[3] ~= ARGV[3] then
  return 2
end
if old[4] then
  local was, is = tonumber(old[4]), tonumber(ARGV[4])
  if not was then
    return 3
  end
  if not is or is > was then
    return 2
  end
end
if old[2] == 'token' then
  if ARGV[5] == '' then
    redis.call('ZREM', KEYS[2], ARGV[1])
  else
    redis.call('ZADD', KEYS[2], ARGV[5], ARGV[1])
  end
end
local last = 7 + tonumber(ARGV[7])
redis.call('HSET', KEYS[1], unpack(ARGV, 8, last))
if old[2] == 'client' and ARGV[6] ~= '' then
  redis.call('HSET', KEYS[1], 'life', ARGV[6])
else
  redis.call('HDEL', KEYS[1], 'life')
end
if #ARGV > last then
  redis.call('HDEL', KEYS[1], unpack(ARGV, last + 1))
end
return 1
