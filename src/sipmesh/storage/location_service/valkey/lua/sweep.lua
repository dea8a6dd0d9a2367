-- Remove some rows of servers that have ended. KEYS: servers, those servers. ARGV: prefix, how many users at a time.
local server = sure('SRANDMEMBER', KEYS[2])
if not server then return 0 end
local aors = sure('SPOP', ARGV[1] .. 'dead:' .. server, ARGV[2])
if #aors == 0 then redis.call('SREM', KEYS[2], server) return 1 end
local current = incarnation_of(server)
for _, aor in ipairs(aors) do
  local rows = ARGV[1] .. 'aor:' .. aor
  local held = sure('HGETALL', rows)
  for place = 1, #held, 2 do
    local row = stored(held[place + 1])
    local is_dead = row[7] == server and tonumber(row[8]) ~= current
    if is_dead or (row[1] ~= 'removed' and type(row[7]) ~= 'string') then redis.call('HDEL', rows, held[place]) end
  end
  redis.call('HLEN', rows)
end
return 1
