-- KEYS: alive, hash. ARGV: me. Gives epoch, version, tag, value; nothing if nothing was ever written.
local v = redis.call('HMGET', KEYS[2], 'w', 'e', 'o', 't', 'd')
if not v[1] then
  return { 1 }
end
return { 1, v[2], v[3], v[4], v[5] }
