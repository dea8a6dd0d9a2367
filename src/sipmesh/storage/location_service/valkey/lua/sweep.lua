-- Remove some rows of servers that have ended. KEYS: servers, those servers. ARGV: prefix, how many users at a time.
local server = redis.call('SRANDMEMBER', KEYS[2])
if not server then return 0 end
local aors = redis.call('SPOP', ARGV[1] .. 'dead:' .. server, ARGV[2])
if #aors == 0 then redis.call('SREM', KEYS[2], server) return 1 end
local current = incarnation_of(server)
for _, aor in ipairs(aors) do
  local held = redis.call('HGETALL', ARGV[1] .. 'aor:' .. aor)
  for place = 1, #held, 2 do
    local good, row = pcall(cjson.decode, string.match(held[place + 1], '^%d+ (.*)$') or '')
    local is_dead = not good or type(row) ~= 'table' or (row[7] == server and tonumber(row[8]) ~= current)
    if is_dead then redis.call('HDEL', ARGV[1] .. 'aor:' .. aor, held[place]) end
  end
  redis.call('HLEN', ARGV[1] .. 'aor:' .. aor)
end
return 1
