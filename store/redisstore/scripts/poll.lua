-- Reads what was changed in one or more shards after a position. KEYS: the
-- announcements of the first of these shards, then the changes of each. ARGV: the ID
-- of an announcement, a word drawn at random, then for each shard the past, the last
-- change and its word as they are in the position. Returns 1 or 0, whether the
-- announcement is there and not marked; the past; then for each shard a list: 1 or 0,
-- whether the position is one of this past; the last change, its word, and the IDs
-- of the records that were changed since the position.
--
-- The change at the position is read too. If it is not there any more, changes after it
-- may be missing too. If it has another word, it is another change. To a shard without
-- changes the script adds a change of no record, so that there is a position.
local refused = refusal()
if refused then
  return refused
end
local here = past()
if not here then
  return untold()
end
local announcement = redis.call('HGET', KEYS[1], ARGV[1])
local answer = {announcement and not string.find(announcement, 'marked', 1, true) and 1 or 0, here}
for i = 2, #KEYS do
  local at = 3 * i - 3
  local found, known = {}, 0
  if ARGV[at] == here then
    found = redis.call('XRANGE', KEYS[i], ARGV[at + 1], '+')
  end
  if found[1] and found[1][1] == ARGV[at + 1] and found[1][2][1] == ARGV[at + 2] then
    known = 1
  else
    found = redis.call('XREVRANGE', KEYS[i], '+', '-', 'COUNT', 1)
    if not found[1] then
      changed(KEYS[i], ARGV[2], '')
      found = redis.call('XREVRANGE', KEYS[i], '+', '-', 'COUNT', 1)
    end
  end
  local last = found[#found]
  local shard = {known, last[1], last[2][1]}
  for n = 2, #found do
    shard[n + 2] = found[n][2][2]
  end
  answer[i + 1] = shard
end
return answer
