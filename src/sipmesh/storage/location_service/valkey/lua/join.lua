-- Begin an incarnation, or say that all its rows are stored again.
-- KEYS: servers, identity. ARGV: prefix, server, incarnation, run, complete, identity.
-- Gives our entry, the identity of the store, and its age in seconds.
local server, incarnation, run, complete, identity = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local held = incarnation_of(server)
if held and held > tonumber(incarnation) then return redis.error_reply('REPLACED by a later process') end
if held ~= tonumber(incarnation) then retire(server) end
local entry = incarnation .. ' ' .. run .. ' ' .. complete
local before = redis.call('HGET', KEYS[1], server)
if before == incarnation .. ' ' .. run .. ' 1' then entry = before end
if before ~= entry then redis.call('HSET', KEYS[1], server, entry) end
redis.call('HLEN', KEYS[1])
local now = redis.call('TIME')[1]
if redis.call('SET', KEYS[2], identity .. ' ' .. now, 'NX') then return {entry, identity, 0} end
local name, since = string.match(redis.call('GET', KEYS[2]), '^(%x+) (%d+)$')
return {entry, name or '', tonumber(now) - (tonumber(since) or 0)}
