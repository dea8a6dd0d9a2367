-- Renew our lease. KEYS: servers, leases, servers whose rows are to be removed. ARGV: server, incarnation.
-- Gives whether our incarnation is known, the number of servers whose rows are to be removed, and all leases.
redis.call('HINCRBY', KEYS[2], ARGV[1], 1)
local known = incarnation_of(ARGV[1]) == tonumber(ARGV[2]) and 1 or 0
return {known, redis.call('SCARD', KEYS[3]), redis.call('HGETALL', KEYS[2])}
