-- The incarnation of a server; nil if the store does not know the server, or if its entry does not fit.
local function incarnation_of(server)
  local known = sure('HGET', KEYS[1], server)
  local digits = known and string.match(known, '^(%d+) %x+ [01] %x+ %d+$')
  return digits and #digits <= 16 and tonumber(digits) or nil
end
