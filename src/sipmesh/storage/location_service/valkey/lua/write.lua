-- Change the rows of one user. KEYS: servers, rows, index of our rows.
-- ARGV: server, incarnation, run, print of our key, encrypted address of record, whether it restores, the number of rows to drop; name and
-- token of each, and what is left of it ("" if nothing); name, value, Call-ID, CSeq and token of each row to put.
-- Gives 1 if our incarnation was forgotten, else 0, and the rows that do not give way to ours (RFC 3261 10.3): name and value.
-- A row of a server that has ended gives way, and one of our own. A write that is made again after a lost reply changes nothing.
-- The last commands only read: a change of ours is not told to us, and ends what client-side caching follows for us.
local server, incarnation, aor, restores = ARGV[1], ARGV[2], ARGV[5], ARGV[6] == '1'
local known = incarnation_of(server)
if known and known > tonumber(incarnation) then return redis.error_reply('REPLACED by a later process') end
local answer = {0}
if known ~= tonumber(incarnation) then
  redis.call('HSET', KEYS[1], server, table.concat({incarnation, ARGV[3], '0', ARGV[4]}, ' '))
  answer[1] = 1
end
local function is_live(row)
  local its = type(row[7]) == 'string' and incarnation_of(row[7])
  return its and its == tonumber(row[8])
end
local place = 8
for _ = 1, tonumber(ARGV[7]) do
  local name, token, left = unpack(ARGV, place, place + 2)
  local value = sure('HGET', KEYS[2], name)
  local held, mark = stored(value or '')
  if value and held[10] == token then
    if left ~= '' and (mark == 'd' or held[7] ~= server) then redis.call('HSET', KEYS[2], name, left)
    else redis.call('HDEL', KEYS[2], name) end
  end
  place = place + 3
end
local time = redis.call('TIME')
local number = tonumber(time[1]) * 1000000 + tonumber(time[2])
while ARGV[place] do
  local name, value, call_id, cseq, token = unpack(ARGV, place, place + 4)
  local before = sure('HGET', KEYS[2], name)
  local held, mark = stored(before or '')
  local gives_way = restores and held[1] == 'removed'
  if held[7] ~= server and is_live(held) then
    local is_same = held[10] == token and tonumber(held[6]) == tonumber(cseq)
    local is_newer = held[5] == call_id and (tonumber(held[6]) or 0) >= tonumber(cseq)
    gives_way = not is_same and (restores or is_newer)
  end
  if gives_way then
    answer[#answer + 1] = name
    answer[#answer + 1] = before
  else
    local has_replaced = before and (mark == 'd' or held[7] ~= server)
    redis.call('HSET', KEYS[2], name, string.format('%.0f', number) .. (has_replaced and 'd ' or ' ') .. value)
    sure('SADD', KEYS[3], aor)
    number = number + 1
  end
  place = place + 5
end
redis.call('HLEN', KEYS[1])
redis.call('HLEN', KEYS[2])
return answer
