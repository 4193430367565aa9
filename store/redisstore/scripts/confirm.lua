-- Writes to a record a field that it has already, so that a WAIT after the script
-- waits for all that was written to the record before. KEYS: the record. Returns 0 if
-- there is no record, else 1.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], 'pending', 1)
return 1
