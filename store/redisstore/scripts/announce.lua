-- Announces a cache. KEYS: the announcements, and what says that they are whole.
-- ARGV: the ID and the lease in milliseconds. Returns 0 if the announcement is
-- marked, else 1. An announcement is the lease and the time, with a space between
-- them, and a mark after another one if it has one.
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
