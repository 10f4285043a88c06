-- KEYS: alive, hash, zset. ARGV: me, after, limit. Gives 1, count, and who and seat of each.
local whos = redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. ARGV[2], '+inf', 'LIMIT', '0', ARGV[3])
local members = {}
for i = 1, #whos do
  local text = redis.call('HGET', KEYS[2], whos[i])
  if text then
    members[#members + 1] = whos[i]
    members[#members + 1] = text
  end
end
return { 1, redis.call('ZCARD', KEYS[3]), members }
