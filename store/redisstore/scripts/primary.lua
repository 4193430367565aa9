-- Begins scripts that can answer without a write. They call refusal first then: the
-- command removes nothing, but a server that is no primary refuses it, and so does
-- a primary that may not write because it has lost its replicas. Then refusal
-- returns an error in place of an answer, and else nil. KEYS: any key.
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
