-- Have the rows of a server removed later: `sweep` does it, a few users at a time.
local function retire(server)
  local index, dead = ARGV[1] .. 'rows:' .. server, ARGV[1] .. 'dead:' .. server
  if sure('SCARD', index) == 0 then return end
  if sure('SCARD', dead) == 0 then redis.call('RENAME', index, dead)
  else redis.call('SUNIONSTORE', dead, dead, index) redis.call('DEL', index) end
  sure('SADD', ARGV[1] .. 'dead', server)
end
