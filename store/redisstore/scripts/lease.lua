-- Finds the longest lease. KEYS: the announcements, and the hash that says since when
-- none can have been lost. ARGV: for how many milliseconds caches may be used after
-- their announcements were lost. Returns the lease in milliseconds, or -1 if
-- announcements may have been lost.
local refused = refusal()
if refused then
  return refused
end
local longest = 0
for _, announcement in ipairs(redis.call('HVALS', KEYS[1])) do
  local lease = tonumber(string.match(announcement, '^%d+') or '')
  if not lease then
    return -1
  end
  longest = math.max(longest, lease)
end
local here = past()
if not here then
  -- No process that is denied INFO can have a cache. If there are announcements, other
  -- processes are not denied it.
  return longest > 0 and -1 or 0
end
if whole(KEYS[2], here) < tonumber(ARGV[1]) then
  return -1
end
return longest
