-- Begins scripts that write with an entry of the trail. It takes what is about that
-- off the ends of KEYS: where a chain ends, a hash, and the chain, a stream; and of
-- ARGV: the position and the hash of the last entry as the caller knows it, '' for
-- none, then those of the new entry, and its text. If the chain ends elsewhere by
-- now, entry.late is what to answer: somebody has added another one.
local entry = {text = table.remove(ARGV), hash = table.remove(ARGV), seq = table.remove(ARGV)}
do
  local hash, seq = table.remove(ARGV), table.remove(ARGV)
  entry.chain, entry.ends = table.remove(KEYS), table.remove(KEYS)
  local last = redis.call('HMGET', entry.ends, 'seq', 'hash')
  if (last[1] or '') ~= seq or (last[2] or '') ~= hash then
    entry.late = {'late', last[1] or '', last[2] or ''}
  end
end

-- The caller does this before it writes anything else that matters: what a script
-- wrote before an error stays.
function entry.add()
  redis.call('XADD', entry.chain, entry.seq .. '-0', 'e', entry.text)
  redis.call('HSET', entry.ends, 'seq', entry.seq, 'hash', entry.hash)
end
