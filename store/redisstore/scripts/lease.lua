-- Finds the longest lease. KEYS: the announcements, and what says that they are
-- whole. ARGV: for how many milliseconds caches go on after their announcements were
-- lost. Returns the lease in milliseconds, or -1 if some may have been lost.
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
  -- No cache can be in use, unless others are told more than this process is.
  return longest > 0 and -1 or 0
end
if whole(KEYS[2], here) < tonumber(ARGV[1]) then
  return -1
end
return longest
