-- Takes from a bucket: Limit.Take of package ratelimit, on the server's clock.
-- KEYS: the bucket. ARGV: the cost, the window and the horizon, each in seconds
-- and nanoseconds. Returns the clock's seconds and microseconds and what the
-- bucket held, from which the caller reckons the rest.
--
-- Numbers here are exact up to 2^53, and nanoseconds since 1970 are more. Hence
-- pairs: a whole number of seconds, and nanoseconds below a billion.
local function sum(s, n, ds, dn)
  s, n = s + ds, n + dn
  if n >= 1000000000 then
    return s + 1, n - 1000000000
  end
  return s, n
end

local function later(s, n, than_s, than_n)
  return s > than_s or s == than_s and n > than_n
end

local clock = redis.call('TIME')
local now_s, now_n = tonumber(clock[1]), clock[2] * 1000
local s, n = now_s, now_n
local old = redis.call('GET', KEYS[1]) or ''
if old ~= '' then
  if #old < 10 or #old > 19 or not string.find(old, '^%d+$') then
    return redis.error_reply('CORRUPT bucket')
  end
  local old_s, old_n = tonumber(string.sub(old, 1, -10)), tonumber(string.sub(old, -9))
  if later(old_s, old_n, s, n) then
    s, n = old_s, old_n
  end
end
local full_s, full_n = sum(now_s, now_n, ARGV[3], ARGV[4])
local far_s, far_n = sum(now_s, now_n, ARGV[5], ARGV[6])
if later(s, n, far_s, far_n) then
  s, n = full_s, full_n
end
local paid_s, paid_n = sum(s, n, ARGV[1], ARGV[2])
if not later(paid_s, paid_n, full_s, full_n) then
  s, n = paid_s, paid_n
end
local new = string.format('%d%09d', s, n)
if new ~= old then
  -- Kept for as long as it is not full, and a second more.
  local lead = (s - now_s) * 1000 + math.ceil((n - now_n) / 1000000) + 1000
  redis.call('SET', KEYS[1], new, 'PX', string.format('%d', lead))
end
return {clock[1], clock[2], old}
