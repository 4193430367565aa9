-- Begins scripts about changes and announcements. past returns a name for the server
-- and its history: the first 16 characters change with a restart, the others with a
-- promotion, and when the server takes over the data of another one. It returns nil if
-- the server denies INFO.
local function past()
  local server, replication = redis.pcall('INFO', 'server'), redis.pcall('INFO', 'replication')
  if type(server) == 'string' and type(replication) == 'string' then
    local run, history = string.match(server, 'run_id:(%x+)'), string.match(replication, 'master_replid:(%x+)')
    if run and history then
      return string.sub(run, 1, 16) .. string.sub(history, 1, 16)
    end
  end
end

local function untold() return redis.error_reply('UNTOLD the server denies INFO') end

-- now returns the server's clock in Unix milliseconds.
local function now()
  local clock = redis.call('TIME')
  return clock[1] * 1000 + math.floor(clock[2] / 1000)
end

-- whole returns for how many milliseconds no announcement can have been lost, and
-- keeps under a key the past and since when that is so. If the past is another one
-- than before, or was not kept, announcements may have been lost just now. If only a
-- restart has changed it, they may have been lost at the restart.
local function whole(key, here)
  local clock = now()
  local known = redis.call('HMGET', key, 'past', 'since')
  local there, since = known[1], tonumber(known[2] or '')
  if there ~= here or not since or since > clock then
    since = clock
    if there and string.sub(there, 1, 16) ~= string.sub(here, 1, 16) and
      string.find(redis.call('INFO', 'replication'), 'master_replid2:0+\r') then
      since = clock - 1000 * (string.match(redis.call('INFO', 'server'), 'uptime_in_seconds:(%d+)') or 0)
    end
    redis.call('HSET', key, 'past', here, 'since', since)
  end
  return clock - since
end
