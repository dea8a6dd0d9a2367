-- Read the rows of one user: name and value of each. KEYS: rows. ARGV: how many rows, how many octets.
-- More than a user can have was written by somebody else: all of it is removed, and each server stores its own rows again.
if sure('HLEN', KEYS[1]) > tonumber(ARGV[1]) then redis.call('DEL', KEYS[1]) end
local rows = redis.call('HGETALL', KEYS[1])
local octets = 0
for _, part in ipairs(rows) do octets = octets + #part end
if octets <= tonumber(ARGV[2]) then return rows end
redis.call('DEL', KEYS[1])
return redis.call('HGETALL', KEYS[1])
