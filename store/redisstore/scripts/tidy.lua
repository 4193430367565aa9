-- Puts IDs into the lists in which they belong, and takes them off the others.
-- KEYS: the lists of live IDs, of revoked IDs and of ends, and the organizations of
-- the shard; then the record of each ID. ARGV: the organization and the kind of the
-- lists, then the IDs. The IDs of records that cannot be read stay in their lists.
for i = 3, #ARGV do
  local id, record = ARGV[i], KEYS[i + 2]
  local type = redis.call('TYPE', record).ok
  local now = {}
  if type == 'hash' then
    now = redis.call('HMGET', record, 'org', 'kind', 'revoked', 'expires')
  end
  local live, revoked, ends = false, false, false
  if now[1] == ARGV[1] and now[2] == ARGV[2] then
    live, revoked = not now[3], now[3]
    ends = live and tonumber(now[4] or '')
    redis.call('ZADD', KEYS[4], 0, ARGV[1])
  end
  if live or revoked or type == 'none' or now[1] and now[2] then
    if live then
      redis.call('ZADD', KEYS[1], 0, id)
    else
      redis.call('ZREM', KEYS[1], id)
    end
    if revoked then
      redis.call('ZADD', KEYS[2], 0, id)
    else
      redis.call('ZREM', KEYS[2], id)
    end
    if ends then
      redis.call('ZADD', KEYS[3], ends, id)
    else
      redis.call('ZREM', KEYS[3], id)
    end
  end
end
return 1
