-- In the first shard. KEYS: alive, leases, lengths, dying, dead. ARGV: me, then who was found alive in other shards.
-- Declares dead whose lease has run out, but for the one that asks. Gives 1, and who is dying: who may still have
-- entries.
local time = now_ms()
local function condemn(who)
  redis.call('ZREM', KEYS[2], who)
  redis.call('HDEL', KEYS[3], who)
  redis.call('SREM', KEYS[1], who)
  redis.call('ZADD', KEYS[4], int(time), who)
  redis.call('ZADD', KEYS[5], int(time), who)
end
local lapsed = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', int(time))
for i = 1, #lapsed do
  if lapsed[i] ~= ARGV[1] then
    condemn(lapsed[i])
  end
end
-- Who is alive without a lease would never be declared dead: leases were lost, or came back older than they were.
if redis.call('SCARD', KEYS[1]) ~= redis.call('ZCARD', KEYS[2]) then
  local all = redis.call('SMEMBERS', KEYS[1])
  for i = 1, #all do
    if not redis.call('ZSCORE', KEYS[2], all[i]) then
      condemn(all[i])
    end
  end
end
for i = 2, #ARGV do
  if not redis.call('ZSCORE', KEYS[2], ARGV[i]) then
    condemn(ARGV[i])
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', int(time - WEEK_MS))
return { 1, redis.call('ZRANGE', KEYS[4], '0', '-1') }
