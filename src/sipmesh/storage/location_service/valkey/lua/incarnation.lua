-- The incarnation of a server; nil if the store does not know the server.
local function incarnation_of(server)
  local known = redis.call('HGET', KEYS[1], server)
  return known and tonumber(string.match(known, '^%d+')) or nil
end
