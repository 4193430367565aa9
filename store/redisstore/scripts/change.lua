-- Begins scripts that change or remove records: changed adds the ID of a record to
-- the changes of its shard, of which about the last 2,048 stay. The word is random. If
-- a server has lost some of its past, and went on, a new change may have the number of
-- a lost one; the words tell them apart.
local function changed(changes, word, id)
  redis.call('XADD', changes, 'MAXLEN', '~', 2048, '*', word, id)
end
