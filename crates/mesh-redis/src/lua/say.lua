-- ARGV[2]: PUBLISH or SPUBLISH.

-- Mint the numbers of `count` publications of this incarnation on a topic; gives the one before the first.
local function mint(counts, count)
  return redis.call('HINCRBY', counts, ARGV[1], count) - count
end

-- Publish the n-th; gives how many heard it. The position is 'epoch offset tag', or '-'.
local function tell(channel, n, position, blob)
  return redis.call(ARGV[2], channel, 'M1 ' .. int(n) .. ' ' .. position .. '\n' .. blob)
end

-- A topic that nobody hears has no counts.
local function told(counts, n, heard)
  if heard == 0 then
    redis.call('DEL', counts)
  elseif n % 64 == 1 then
    redis.call('PEXPIRE', counts, WEEK_MS)
  end
end

local function say(counts, channel, position, blob)
  local n = mint(counts, 1) + 1
  told(counts, n, tell(channel, n, position, blob))
end
