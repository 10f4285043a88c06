-- KEYS: alive, schema. ARGV: '', the schema of this server. Gives the schema that is there.
local there = redis.call('GET', KEYS[2])
if not there then
  redis.call('SET', KEYS[2], ARGV[2])
  there = ARGV[2]
end
return there
