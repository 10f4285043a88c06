-- KEYS: alive, index. ARGV: me, kind, from, to, limit. Gives 1, and name and count of each.
local names = redis.call('ZRANGEBYLEX', KEYS[2], ARGV[3], ARGV[4], 'LIMIT', '0', ARGV[5])
local found = {}
for i = 1, #names do
  local count = redis.call('ZCARD', P .. 'o' .. ARGV[2] .. ':' .. names[i])
  if count > 0 then
    found[#found + 1] = names[i]
    found[#found + 1] = count
  else
    redis.call('ZREM', KEYS[2], names[i])
  end
end
return { 1, found }
