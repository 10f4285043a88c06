-- A log is a hash and a stream. The hash: e epoch, o newest offset, t newest tag, f the offset before the oldest entry
-- that is kept, b bytes kept, x age of the oldest entry kept as the time it came (or earlier), c y a the bounds of the
-- last append, r when the expiry was set, w what the cell of this name is (v: has a value, g: gone), d its value.
-- The stream: entries <offset>-1 with g tag, k kept, m time.

local REFRESH_MS = 60000

-- nil if there is none. What the stream lost by eviction or expiry counts as gone.
local function open(hash, stream)
  local v = redis.call('HMGET', hash, 'e', 'o', 't', 'f', 'b', 'x', 'c', 'y', 'a', 'r', 'w')
  if not v[1] then
    return nil
  end
  local log = {
    e = v[1], o = tonumber(v[2]), t = v[3], f = tonumber(v[4]), b = tonumber(v[5]), x = tonumber(v[6]),
    c = tonumber(v[7]), y = tonumber(v[8]), a = tonumber(v[9]), r = tonumber(v[10]), w = v[11],
  }
  local length = redis.call('XLEN', stream)
  if length ~= log.o - log.f then
    log.lacks = length
    log.f = log.o
    log.b = 0
  end
  return log
end

local function begin(epoch, stream)
  return { e = epoch, o = 0, t = '0', f = 0, b = 0, x = 0, r = 0, a = 0, w = false, lacks = redis.call('XLEN', stream) }
end

local function bound(log, count, bytes, age)
  age = tonumber(age)
  if age ~= log.a then
    log.r = 0
  end
  log.c, log.y, log.a = tonumber(count), tonumber(bytes), age
end

local function add(log, stream, tag, kept, time)
  if log.lacks then
    -- Entries of a life whose hash is gone, or part of a stream.
    if log.lacks > 0 then
      redis.call('DEL', stream)
    end
    log.lacks = nil
  end
  if log.f == log.o then
    log.x = time
    log.r = 0
  end
  log.o = log.o + 1
  log.t = tag
  log.b = log.b + #kept
  redis.call('XADD', stream, int(log.o) .. '-1', 'g', tag, 'k', kept, 'm', int(time))
end

local function fits(log, time)
  return log.o - log.f <= log.c and log.b <= log.y and time - log.x <= log.a
end

-- Says whether anything went.
local function trim(log, stream, time)
  local floor = log.f
  while log.f < log.o and not fits(log, time) do
    local over = math.min(math.max(log.o - log.f - log.c, 1), 64)
    local oldest = redis.call('XRANGE', stream, int(log.f + 1) .. '-1', '+', 'COUNT', int(over + 1))
    if #oldest == 0 then
      log.f = log.o
    end
    for i = 1, #oldest do
      local fields = oldest[i][2]
      log.x = tonumber(fields[6])
      if fits(log, time) then
        break
      end
      log.f = log.f + 1
      log.b = log.b - #fields[4]
    end
  end
  if log.f == log.o then
    log.b = 0
    if log.f > floor or (log.lacks and log.lacks > 0) then
      redis.call('DEL', stream)
    end
  elseif log.f > floor then
    redis.call('XTRIM', stream, 'MINID', int(log.f + 1) .. '-1')
  end
  return log.f > floor or log.lacks ~= nil
end

-- What everything went of is remembered for a week more; a cell that has a value, for ever.
local function expire(log, hash, stream, time)
  if time - log.r > REFRESH_MS then
    log.r = time
    redis.call('PEXPIRE', stream, int(log.a + 2 * REFRESH_MS))
    if log.w == 'v' then
      redis.call('PERSIST', hash)
    else
      redis.call('PEXPIRE', hash, int(log.a + 2 * REFRESH_MS + WEEK_MS))
    end
  end
end

local function store(log, hash, stream, time)
  local due = time - log.r > REFRESH_MS
  local r = log.r
  if due then
    r = time
  end
  redis.call('HSET', hash, 'e', log.e, 'o', int(log.o), 't', log.t, 'f', int(log.f), 'b', int(log.b),
    'x', int(log.x), 'c', int(log.c), 'y', int(log.y), 'a', int(log.a), 'r', int(r))
  expire(log, hash, stream, time)
end

local function position(log)
  return log.e .. ' ' .. int(log.o) .. ' ' .. log.t
end
