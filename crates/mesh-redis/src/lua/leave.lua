-- KEYS: alive, hash, zset, index, counts. ARGV: me, PUBLISH, channel, who, roster, kind, announcement if any.
-- Gives 1, whether it was in, how many are left.
local before = redis.call('HGET', KEYS[2], ARGV[4])
if not before then
  return { 1, 0, redis.call('ZCARD', KEYS[3]) }
end
local _, owner = seat(before)
redis.call('HDEL', KEYS[2], ARGV[4])
redis.call('ZREM', KEYS[3], ARGV[4])
redis.call('ZREM', owned(owner), ARGV[6] .. ARGV[4] .. ' ' .. ARGV[5])
local left = redis.call('ZCARD', KEYS[3])
if left == 0 then
  redis.call('ZREM', KEYS[4], ARGV[5])
end
if ARGV[7] then
  say(KEYS[5], ARGV[3], '-', ARGV[7])
end
return { 1, 1, left }
