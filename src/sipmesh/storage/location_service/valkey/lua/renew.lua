-- Renew our lease. KEYS: servers, leases, servers whose rows are to be removed, identity.
-- ARGV: server, incarnation, run, print of our key, how many leases, and the names of other servers.
-- Gives whether the store has our entry, the number of servers whose rows are to be removed, its identity, and those leases.
if sure('HLEN', KEYS[2]) > tonumber(ARGV[5]) then redis.call('DEL', KEYS[2]) end
sure('HINCRBY', KEYS[2], ARGV[1], 1)
local head, print_ = ARGV[2] .. ' ' .. ARGV[3] .. ' ', ' ' .. ARGV[4]
local entry = sure('HGET', KEYS[1], ARGV[1])
local known = (entry == head .. '0' .. print_ or entry == head .. '1' .. print_) and 1 or 0
local leases = {}
for place = 6, #ARGV do leases[#leases + 1] = string.sub(redis.call('HGET', KEYS[2], ARGV[place]) or '', 1, 20) end
return {known, sure('SCARD', KEYS[3]), string.sub(sure('GET', KEYS[4]) or '', 1, 100), leases}
