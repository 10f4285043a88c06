-- In the first shard. KEYS: alive, dying. ARGV: me, then who has no entry in any shard.
for i = 2, #ARGV do
  redis.call('ZREM', KEYS[2], ARGV[i])
end
return 1
