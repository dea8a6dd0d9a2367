-- Run a command on a key. A key of another kind, or a number that cannot be counted up, was written by somebody else: it is removed.
local function sure(command, key, ...)
  local reply = redis.pcall(command, key, ...)
  if type(reply) ~= 'table' or not reply.err then return reply end
  for _, fault in ipairs({'WRONGTYPE', 'not an integer', 'overflow'}) do
    if string.find(reply.err, fault, 1, true) then
      redis.call('DEL', key)
      return redis.call(command, key, ...)
    end
  end
  return error(reply)
end
