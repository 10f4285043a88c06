-- In each shard. KEYS: alive. ARGV: me, limit, then who is dying.
-- From here on none of them does anything in this shard. Gives 1, how many entries each still has, and of the first
-- entries: owner, kind, who, roster, seat.
local limit = tonumber(ARGV[2])
local counts, orphans = {}, {}
for i = 3, #ARGV do
  local owner = ARGV[i]
  redis.call('SREM', KEYS[1], owner)
  local own = owned(owner)
  if limit > #orphans then
    local marks = redis.call('ZRANGE', own, '0', int(limit - #orphans - 1))
    for j = 1, #marks do
      local kind, who, name = string.match(marks[j], '^(.)(%S+) (.*)$')
      local text = redis.call('HGET', P .. 'm' .. kind .. ':' .. name, who)
      local _, there
      if text then
        _, there = seat(text)
      end
      if there == owner then
        orphans[#orphans + 1] = { owner, kind, who, name, text }
      else
        redis.call('ZREM', own, marks[j])
      end
    end
  end
  counts[#counts + 1] = redis.call('ZCARD', own)
end
return { 1, counts, orphans }
