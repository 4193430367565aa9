-- Begins scripts that can answer without a write. Before such an answer they call
-- refusal. Its command removes nothing, but a server that is no primary refuses it,
-- and so does a primary that may not write because it has lost its replicas. refusal
-- then returns an error to answer with, and otherwise nil. KEYS: any key.
local function refusal()
  local ok = redis.pcall('HDEL', KEYS[1], '')
  if type(ok) == 'table' then
    for _, reason in ipairs({'READONLY', 'NOREPLICAS'}) do
      if string.find(ok.err, reason, 1, true) then
        return redis.error_reply(reason .. ' and so no answer')
      end
    end
  end
end
