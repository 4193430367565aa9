-- Begins scripts that write with an entry of the trail. It takes the arguments about
-- that off the end of KEYS and ARGV. KEYS: where the chain ends, a hash, and the chain,
-- a stream. ARGV: the position and the hash of the last entry that the caller knows, ''
-- for none; then the position, the hash and the text of the new entry. If the chain
-- ends elsewhere by now, since somebody has added another entry, the script must answer
-- entry.late. The caller then tries again, so a server that is no primary may answer that.
local entry = {text = table.remove(ARGV), hash = table.remove(ARGV), seq = table.remove(ARGV)}
do
  local hash, seq = table.remove(ARGV), table.remove(ARGV)
  entry.chain, entry.ends = table.remove(KEYS), table.remove(KEYS)
  local last = redis.call('HMGET', entry.ends, 'seq', 'hash')
  if (last[1] or '') ~= seq or (last[2] or '') ~= hash then
    entry.late = {'late', last[1] or '', last[2] or ''}
  end
end

-- Scripts call this before they write anything else that matters: if it fails, what
-- they have written before stays.
function entry.add()
  redis.call('XADD', entry.chain, entry.seq .. '-0', 'e', entry.text)
  redis.call('HSET', entry.ends, 'seq', entry.seq, 'hash', entry.hash)
end
