-- Notes last uses. KEYS: records of one slot. ARGV: a time for each. Keys without a
-- record are skipped, and a later time that was noted before stays.
for i, record in ipairs(KEYS) do
  if redis.call('TYPE', record).ok == 'hash' then
    local old = tonumber(redis.call('HGET', record, 'used') or '')
    if not old or old < tonumber(ARGV[i]) then
      redis.call('HSET', record, 'used', ARGV[i])
    end
  end
end
return 1
