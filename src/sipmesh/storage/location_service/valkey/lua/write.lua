-- Change the rows of one user. KEYS: servers, rows, number, index of our rows.
-- ARGV: server, incarnation, run, address of record, whether it restores, the number of rows to drop; name and token of each;
-- name, value, Call-ID, CSeq and token of each row to put.
-- Gives 1 if our incarnation was forgotten, else 0, and the names of the rows that gave way to newer ones (RFC 3261 10.3).
-- A row of a server that has ended gives way. A write that is made again after a lost reply changes nothing.
-- The last commands only read: a change of ours is not told to us, and ends what client-side caching follows for us.
local function row_of(name)
  local value = redis.call('HGET', KEYS[2], name)
  if not value then return nil end
  local good, row = pcall(cjson.decode, string.match(value, '^%d+ (.*)$') or '')
  return good and type(row) == 'table' and type(row[7]) == 'string' and row or {}
end
local server, incarnation, run, aor, restores = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5] == '1'
local known = incarnation_of(server)
if known and known > tonumber(incarnation) then return redis.error_reply('REPLACED by a later process') end
local answer = {0}
if known ~= tonumber(incarnation) then
  redis.call('HSET', KEYS[1], server, incarnation .. ' ' .. run .. ' 0')
  answer[1] = 1
end
local place = 7
for _ = 1, tonumber(ARGV[6]) do
  local held = row_of(ARGV[place])
  if held and held[10] == ARGV[place + 1] then redis.call('HDEL', KEYS[2], ARGV[place]) end
  place = place + 2
end
while ARGV[place] do
  local name, value, call_id, cseq, token = unpack(ARGV, place, place + 4)
  local held = row_of(name)
  local gives_way = false
  if held and held[7] and incarnation_of(held[7]) == tonumber(held[8]) then
    local is_same = held[10] == token and tonumber(held[6]) == tonumber(cseq)
    local is_newer = held[5] == call_id and (tonumber(held[6]) or 0) >= tonumber(cseq)
    gives_way = not is_same and (restores or is_newer)
  end
  if gives_way then
    answer[#answer + 1] = name
  else
    redis.call('HSET', KEYS[2], name, string.format('%.0f ', redis.call('INCR', KEYS[3])) .. value)
    redis.call('SADD', KEYS[4], aor)
  end
  place = place + 5
end
redis.call('HLEN', KEYS[1])
redis.call('HLEN', KEYS[2])
return answer
