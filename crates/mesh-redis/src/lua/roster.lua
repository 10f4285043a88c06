-- A roster is a hash and a zset. The hash: connection -> '<offset> <owner> +<value>', or '-' where there is none. The
-- zset: connections by offset. The owner index: a zset of '<kind><connection> <roster>', all with score 0.
local function seat(text)
  local offset, owner = string.match(text, '^(%d+) (%S+) ')
  return tonumber(offset), owner
end

local function owned(owner)
  return P .. 'own:' .. owner
end
