-- KEYS: alive, hash, zset, sequence, index, counts. ARGV: me, PUBLISH, channel, who, value with its sign, roster,
-- kind, announcement if any. Gives 1, whether it is new, offset.
local mark = ARGV[7] .. ARGV[4] .. ' ' .. ARGV[6]
local before = redis.call('HGET', KEYS[2], ARGV[4])
local offset, owner
if before then
  offset, owner = seat(before)
else
  offset = redis.call('INCR', KEYS[4])
end
redis.call('HSET', KEYS[2], ARGV[4], int(offset) .. ' ' .. ARGV[1] .. ' ' .. ARGV[5])
if owner and owner ~= ARGV[1] then
  redis.call('ZREM', owned(owner), mark)
end
-- Also where it was in, as a key may have been evicted.
redis.call('ZADD', owned(ARGV[1]), 0, mark)
redis.call('ZADD', KEYS[3], int(offset), ARGV[4])
redis.call('ZADD', KEYS[5], 0, ARGV[6])
if before then
  return { 1, 0, int(offset) }
end
if ARGV[8] then
  say(KEYS[6], ARGV[3], '-', ARGV[8])
end
return { 1, 1, int(offset) }
