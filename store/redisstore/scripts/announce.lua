-- Announces a cache. KEYS: the announcements, and the hash that says since when none
-- can have been lost. ARGV: the ID, and the lease in milliseconds. Returns 0 if the
-- announcement is marked, else 1. An announcement is the lease and the time, and
-- 'marked' if it is, with spaces between them.
local here = past()
if not here then
  return untold()
end
local old = redis.call('HGET', KEYS[1], ARGV[1])
if old and string.find(old, 'marked', 1, true) then
  return refusal() or 0
end
whole(KEYS[2], here)
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. now())
return 1
