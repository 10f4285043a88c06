-- In front of every script.
-- KEYS[1]: the set of who is alive in this shard. ARGV[1]: the incarnation that asks.
-- Every key of a shard begins with P; a script touches keys of its own shard alone.
local P = string.sub(KEYS[1], 1, -6)
local WEEK_MS = 604800000

-- Lua would write numbers from 10^14 on with an exponent.
local function int(number)
  if number < 100000000000000 then
    return tostring(number)
  end
  return string.format('%.0f', number)
end

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
