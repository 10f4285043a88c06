-- KEYS: alive, then hash and zset of each. ARGV: me, then who is looked for in each. Gives 1, and a seat or nothing for
-- each. Whoever is in one of the two alone, because a key was evicted, is not in.
local found = {}
for i = 2, #ARGV do
  local seat = redis.call('HGET', KEYS[2 * i - 2], ARGV[i])
  if seat and not redis.call('ZSCORE', KEYS[2 * i - 1], ARGV[i]) then
    seat = false
  end
  found[i - 1] = seat
end
return { 1, found }
