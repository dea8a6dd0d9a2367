-- Remove fields of a key, each only if its value is still the one that was seen. KEYS: the key. ARGV: name and value of each.
for place = 1, #ARGV, 2 do
  if sure('HGET', KEYS[1], ARGV[place]) == ARGV[place + 1] then redis.call('HDEL', KEYS[1], ARGV[place]) end
end
return redis.call('HLEN', KEYS[1])
