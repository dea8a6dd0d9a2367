-- End an incarnation. KEYS: servers, leases. ARGV: prefix, server, incarnation.
if incarnation_of(ARGV[2]) ~= tonumber(ARGV[3]) then return 0 end
redis.call('HDEL', KEYS[1], ARGV[2])
sure('HDEL', KEYS[2], ARGV[2])
redis.call('HLEN', KEYS[1])
retire(ARGV[2])
return 1
