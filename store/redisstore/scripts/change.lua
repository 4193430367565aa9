-- Begins scripts that change or remove records: changed adds the ID of a record to
-- the changes of its shard, of which about the last 2,048 stay. The word is one
-- that the caller drew at random. By it a server that lost some of its past, and
-- went on, can be told from itself.
local function changed(changes, word, id)
  redis.call('XADD', changes, 'MAXLEN', '~', 2048, '*', word, id)
end
