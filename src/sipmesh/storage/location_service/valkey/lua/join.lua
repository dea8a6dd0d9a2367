-- Begin an incarnation, or say that all its rows are stored again.
-- KEYS: servers, identity, leases.
-- ARGV: prefix, server, incarnation, run, complete, print of our key, identity, lease of a later process that is gone.
-- Gives our entry, the identity of the store, and its age in seconds.
local server, incarnation, identity = ARGV[2], ARGV[3], ARGV[7]
local held = incarnation_of(server)
if held and held > tonumber(incarnation) then
  local lease = string.format('%.0f ', held) .. string.sub(sure('HGET', KEYS[3], server) or '', 1, 20)
  if lease ~= ARGV[8] then return redis.error_reply('REPLACED ' .. lease) end
end
if held ~= tonumber(incarnation) then retire(server) end
local function entry_of(complete) return table.concat({incarnation, ARGV[4], complete, ARGV[6]}, ' ') end
local entry = entry_of(ARGV[5])
local before = sure('HGET', KEYS[1], server)
if before == entry_of('1') then entry = before end
if before ~= entry then redis.call('HSET', KEYS[1], server, entry) end
redis.call('HLEN', KEYS[1])
local now = redis.call('TIME')[1]
local name, since = string.match(sure('GET', KEYS[2]) or '', '^(%x+) (%d+)$')
if name and #name == #identity and #since < 16 then return {entry, name, tonumber(now) - tonumber(since)} end
redis.call('SET', KEYS[2], identity .. ' ' .. now)
return {entry, identity, 0}
