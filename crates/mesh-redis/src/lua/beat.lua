-- In the first shard. KEYS: alive, leases, lengths. ARGV: me. Gives 1, whether the lease held.
local till = redis.call('ZSCORE', KEYS[2], ARGV[1])
local length = redis.call('HGET', KEYS[3], ARGV[1])
if not till or not length then
  return 0
end
local time = now_ms()
local held = 0
if time < tonumber(till) then
  held = 1
end
-- Taken out first, because a store that is out of memory refuses to add unless the script has written already: with
-- ZADD alone everybody would be declared dead for want of memory.
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[2], int(time + tonumber(length)), ARGV[1])
return { 1, held }
