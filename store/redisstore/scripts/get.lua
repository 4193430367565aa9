-- Reads a record and its parent. KEYS: the record. ARGV: the prefix of all keys,
-- and the tags of the shards, two bytes each. Without them it reads no parent. The
-- parent's key is not known before the record is read, so the parent can be read only
-- if all keys are on one node.
local refused = refusal()
if refused then
  return refused
end
local record = redis.call('HGETALL', KEYS[1])
for i = 1, #record, 2 do
  if ARGV[1] and record[i] == 'parent' then
    local id = record[i + 1]
    local shard = tonumber(string.sub(redis.sha1hex(id), 1, 1), 16)
    local tag = string.sub(ARGV[2], 2 * shard + 1, 2 * shard + 2)
    return {record, redis.call('HGETALL', ARGV[1] .. ':{' .. tag .. '}:r:' .. id)}
  end
end
return {record, {}}
