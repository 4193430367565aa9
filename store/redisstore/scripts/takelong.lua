-- Does what take.lua does, for windows of any length. A time is a pair of numbers:
-- whole seconds, and nanoseconds below a billion.
-- KEYS: the bucket. ARGV: the cost, the window and the horizon, each as such a
-- pair. Returns what take.lua returns. The script has no functions, since each run
-- would make them anew.
local clock = redis.call('TIME')
local now_s, now_n = tonumber(clock[1]), clock[2] * 1000
local cost_s, cost_n = tonumber(ARGV[1]), tonumber(ARGV[2])
local window_s, window_n = tonumber(ARGV[3]), tonumber(ARGV[4])
local s, n = now_s, now_n
local old = redis.call('GET', KEYS[1]) or ''
if old ~= '' then
  if #old < 10 or #old > 19 or string.find(old, '%D') then
    return redis.error_reply('CORRUPT bucket')
  end
  local old_s, old_n = tonumber(string.sub(old, 1, -10)), tonumber(string.sub(old, -9))
  if old_s > s or old_s == s and old_n > n then
    s, n = old_s, old_n
  end
end
local full_s, full_n = now_s + window_s, now_n + window_n
if full_n >= 1000000000 then
  full_s, full_n = full_s + 1, full_n - 1000000000
end
local far_s, far_n = now_s + ARGV[5], now_n + ARGV[6]
if far_n >= 1000000000 then
  far_s, far_n = far_s + 1, far_n - 1000000000
end
if s > far_s or s == far_s and n > far_n then
  s, n = full_s, full_n
end
local paid_s, paid_n = s + cost_s, n + cost_n
if paid_n >= 1000000000 then
  paid_s, paid_n = paid_s + 1, paid_n - 1000000000
end
if paid_s < full_s or paid_s == full_s and paid_n <= full_n then
  s, n = paid_s, paid_n
end
local new = string.format('%d%09d', s, n)
if new ~= old then
  -- The bucket is kept until a second after it is full.
  local lead = (s - now_s) * 1000 + math.ceil((n - now_n) / 1000000) + 1000
  redis.call('SET', KEYS[1], new, 'PX', lead)
end
return clock[1] .. ' ' .. clock[2] .. ' ' .. old
