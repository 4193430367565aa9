-- Removes the entries of a chain up to a position. KEYS: where the chain ends, a
-- hash, and the chain, a stream. ARGV: the position, and the hash and the text of the
-- entry at this position. Returns 1, or 0 if that is not the entry at this position.
local cut = redis.call('HGET', KEYS[1], 'cut')
if cut and tonumber(cut) >= tonumber(ARGV[1]) then
  return refusal() or 1
end
local id = ARGV[1] .. '-0'
local found = redis.call('XRANGE', KEYS[2], id, id)
if #found == 0 or found[1][2][2] ~= ARGV[3] then
  return refusal() or 0
end
redis.call('HSET', KEYS[1], 'cut', ARGV[1], 'cuthash', ARGV[2])
while true do
  local ids = {}
  for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', id, 'COUNT', 1000)) do
    table.insert(ids, entry[1])
  end
  if #ids == 0 then
    return 1
  end
  redis.call('XDEL', KEYS[2], unpack(ids))
end
