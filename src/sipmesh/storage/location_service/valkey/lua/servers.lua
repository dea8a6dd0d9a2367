-- Read the servers of the pool: name and entry of each. KEYS: servers. ARGV: how many entries. What does not fit is removed.
if sure('HLEN', KEYS[1]) > tonumber(ARGV[1]) then redis.call('DEL', KEYS[1]) end
local entries, found = redis.call('HGETALL', KEYS[1]), {}
for place = 1, #entries, 2 do
  if #entries[place] > 300 or not incarnation_of(entries[place]) then redis.call('HDEL', KEYS[1], entries[place])
  else found[#found + 1] = entries[place] found[#found + 1] = string.sub(entries[place + 1], 1, 100) end
end
redis.call('HLEN', KEYS[1])
return found
