-- KEYS: alive, hash, zset. ARGV: me, after, limit, how many rosters of connections, the letter of their kind. Gives 1, count,
-- and who, seat, and seat in the roster of connections or nothing, of each. Only where there is one shard: the other rosters
-- are found by the ids of the members.
local whos = redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. ARGV[2], '+inf', 'LIMIT', '0', ARGV[3])
local members = {}
for i = 1, #whos do
  local text = redis.call('HGET', KEYS[2], whos[i])
  if text then
    local name = int(tonumber(string.sub(whos[i], -4), 16) % tonumber(ARGV[4]))
    local known = redis.call('HGET', P .. 'm' .. ARGV[5] .. ':' .. name, whos[i])
    if known and not redis.call('ZSCORE', P .. 'o' .. ARGV[5] .. ':' .. name, whos[i]) then
      known = false
    end
    members[#members + 1] = { whos[i], text, known }
  end
end
return { 1, redis.call('ZCARD', KEYS[3]), members }
