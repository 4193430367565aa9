-- Removes tokens of one shard that have ended. KEYS: the deaths, the organizations
-- and the changes of the shard; then for each organization the three lists of its
-- tokens, and the lists of its live and revoked keys and clients; then the
-- records of the tokens. ARGV: the earliest end that is not removed, a random word,
-- the number of organizations, their names, then for each token its ID and the number
-- of the organization that it had when it was looked up. Returns how many were removed.
--
-- Each token is looked at again, since it may have been swept meanwhile, and its ID
-- used again. An ID whose record is no token, or has no organization, is taken off the
-- deaths: it would be found by each sweep, forever.
--
-- If a server is out of memory, it does not stop a script whose first write needs no
-- memory.
local removed = 0
redis.call('ZREM', KEYS[1], '')
local orgs = tonumber(ARGV[3])
local record = 3 + 7 * orgs
for i = 4 + orgs, #ARGV, 2 do
  record = record + 1
  local id, org = ARGV[i], tonumber(ARGV[i + 1])
  local death = redis.call('ZSCORE', KEYS[1], id)
  if death and tonumber(death) < tonumber(ARGV[1]) then
    local now = {}
    if redis.call('TYPE', KEYS[record]).ok == 'hash' then
      now = redis.call('HMGET', KEYS[record], 'org', 'kind')
    end
    if now[2] ~= 'token' or not now[1] then
      redis.call('ZREM', KEYS[1], id)
    elseif now[1] == ARGV[3 + org] then
      changed(KEYS[3], ARGV[2], id)
      redis.call('ZREM', KEYS[1], id)
      for list = 7 * org - 3, 7 * org - 1 do
        redis.call('ZREM', KEYS[list], id)
      end
      redis.call('DEL', KEYS[record])
      removed = removed + 1
    end
  end
end
for org = 1, orgs do
  local first = 7 * org - 3
  if redis.call('EXISTS', KEYS[first], KEYS[first + 1], unpack(KEYS, first + 3, first + 6)) == 0 then
    redis.call('ZREM', KEYS[2], ARGV[3 + org])
  end
end
return removed
