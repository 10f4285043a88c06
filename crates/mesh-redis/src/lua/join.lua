-- In each shard but the first, after it. KEYS: alive. ARGV: me.
redis.call('SADD', KEYS[1], ARGV[1])
return 1
