-- In the first shard. KEYS: alive, leases, lengths, dead, schema. ARGV: me, lease in ms, schema.
-- Gives 0 if it is dead, 1, or the schema that is there if it is another.
local there = redis.call('GET', KEYS[5])
if there and there ~= ARGV[3] then
  return there
end
if redis.call('ZSCORE', KEYS[4], ARGV[1]) then
  return 0
end
if not there then
  redis.call('SET', KEYS[5], ARGV[3])
end
redis.call('ZADD', KEYS[2], int(now_ms() + tonumber(ARGV[2])), ARGV[1])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[2])
redis.call('SADD', KEYS[1], ARGV[1])
return 1
