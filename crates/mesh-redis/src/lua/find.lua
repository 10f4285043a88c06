-- KEYS: alive, then the hash of each roster. ARGV: me, then who of each. Gives 1, the seat of each.
local seats = {}
for i = 2, #KEYS do
  seats[i - 1] = redis.call('HGET', KEYS[i], ARGV[i])
end
return { 1, seats }
