-- Begins scripts that can answer without a write. The command removes nothing. A
-- server that is no primary refuses it, and so does a primary that may not write
-- because it has lost its replicas; then there is no answer. KEYS: any key.
local refused = redis.pcall('HDEL', KEYS[1], '')
if type(refused) == 'table' then
  for _, reason in ipairs({'READONLY', 'NOREPLICAS'}) do
    if string.find(refused.err, reason, 1, true) then
      return redis.error_reply(reason .. ' and so no answer')
    end
  end
end
