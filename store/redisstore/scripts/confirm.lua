-- Writes to a record what is there already, so that a WAIT after it waits for
-- all that was written to it before. KEYS: the record. Returns 0 if it is gone.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], 'pending', 1)
return 1
