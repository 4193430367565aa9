-- Marks announcements. KEYS: the announcements. ARGV: how old they must be, in
-- milliseconds. Returns 1 if any announcement has a mark then, else 0. Marks that are
-- there already are written again, so that a WAIT after the script waits for them too.
local refused = refusal()
if refused then
  return refused
end
local all, last, marked = redis.call('HGETALL', KEYS[1]), now() - ARGV[1], 0
for i = 1, #all, 2 do
  local lease, at, mark = string.match(all[i + 1], '^(%d+) (%d+)( ?%a*)$')
  if mark ~= '' or tonumber(at) < last then -- an announcement that cannot be read is marked: all three are nil
    redis.call('HSET', KEYS[1], all[i], (lease or 0) .. ' ' .. (at or 0) .. ' marked')
    marked = 1
  end
end
return marked
