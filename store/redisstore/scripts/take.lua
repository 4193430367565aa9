-- Takes from a bucket: Limit.Take of package ratelimit by the server's clock, for
-- windows of less than 52 days.
-- KEYS: the bucket. ARGV: the cost, the window and the horizon in nanoseconds.
-- Returns the clock's seconds and microseconds and what the bucket held, separated
-- by spaces. The caller computes the decision from them.
--
-- Numbers in Lua are exact up to 2^53, and Unix nanoseconds are larger. So the
-- script computes with the time by which the bucket is ahead of the clock. A bucket
-- that is ahead by more than 2^53 was written by a clock that was wrong.
local clock = redis.call('TIME')
local now_s, now_n = tonumber(clock[1]), clock[2] * 1000
local cost, window, horizon = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local ahead = 0
local old = redis.call('GET', KEYS[1]) or ''
if old ~= '' then
  if #old < 10 or #old > 19 or string.find(old, '%D') then
    return redis.error_reply('CORRUPT bucket')
  end
  ahead = (string.sub(old, 1, -10) - now_s) * 1000000000 + (string.sub(old, -9) - now_n)
  if ahead < 0 then
    ahead = 0
  elseif ahead > horizon then
    ahead = window
  end
end
if ahead + cost <= window then
  ahead = ahead + cost
end
local n = now_n + ahead
local s = math.floor(n / 1000000000)
local new = string.format('%d%09d', now_s + s, n - s * 1000000000)
if new ~= old then
  -- The bucket is kept until a second after it is full.
  redis.call('SET', KEYS[1], new, 'PX', math.ceil(ahead / 1000000) + 1000)
end
return clock[1] .. ' ' .. clock[2] .. ' ' .. old
