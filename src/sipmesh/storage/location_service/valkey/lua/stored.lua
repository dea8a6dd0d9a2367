-- Read a stored value: a number, a mark, a seal and a JSON list. Gives an empty list for a value that does not fit, and the mark.
-- The mark is d if the row has replaced a row of another process. A value longer than any row does not fit: it is not even read,
-- and no reply has it.
local function stored(value)
  if #value > longest_value then return {} end
  local mark, text = string.match(value, '^%d+(d?) [%w_-]+ (%[.*)$')
  local good, row = pcall(cjson.decode, text or '')
  return good and type(row) == 'table' and row or {}, mark
end
