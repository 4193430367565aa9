-- Removes dead tokens of one shard. KEYS: the deaths, then for each token its
-- record and its index. ARGV: the first time of death to leave alone, then for
-- each token its ID and the organization that it had when it was looked up.
-- Returns how many were removed, and how many were taken off the list alone.
--
-- Each token is looked at again, since it may have been swept, and its ID used
-- by others, meanwhile. What is there and is no token, or belongs to nobody,
-- would stand in the way of others for ever, and so it is taken off the list.
local removed, dropped = 0, 0
for i = 2, #ARGV, 2 do
  local id, org, record, index = ARGV[i], ARGV[i + 1], KEYS[i], KEYS[i + 1]
  local death = redis.call('ZSCORE', KEYS[1], id)
  if death and tonumber(death) < tonumber(ARGV[1]) then
    local type, now = redis.call('TYPE', record).ok, {}
    if type == 'hash' then
      now = redis.call('HMGET', record, 'org', 'kind')
    end
    if now[2] ~= 'token' or not now[1] then
      redis.call('ZREM', KEYS[1], id)
      dropped = dropped + 1
    elseif now[1] == org then
      redis.call('ZREM', KEYS[1], id)
      redis.call('ZREM', index, id)
      redis.call('DEL', record)
      removed = removed + 1
    end
  end
end
return {removed, dropped}
