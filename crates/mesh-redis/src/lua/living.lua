-- KEYS: alive. ARGV: me. Gives 1, and who is alive in this shard.
return { 1, redis.call('SMEMBERS', KEYS[1]) }
