-- KEYS: alive, index. ARGV: me, kind, from, to, limit. Gives name, epoch, version, tag, value of each.
local names = redis.call('ZRANGEBYLEX', KEYS[2], ARGV[3], ARGV[4], 'LIMIT', '0', ARGV[5])
local found = {}
for i = 1, #names do
  local v = redis.call('HMGET', P .. 'h' .. ARGV[2] .. ':' .. names[i], 'e', 'o', 't', 'd')
  if v[4] then
    found[#found + 1] = { names[i], v[1], v[2], v[3], v[4] }
  else
    redis.call('ZREM', KEYS[2], names[i])
  end
end
return { 1, found }
