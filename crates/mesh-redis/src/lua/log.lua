-- A log is a hash and a stream. The hash: e epoch, o newest offset, t newest tag, f the offset before the oldest entry
-- that can be read, p the same of what is still in the stream, b bytes kept, z 1 if b is exact and 0 if it is too high,
-- x the time of the oldest entry or an earlier one, c y a the bounds of the last append, r when the expiry was set,
-- w what the cell of this name is (v: has a value, g: gone), d its value, q whose turn it is to write it.
-- The stream: entries <offset>-1 with g tag, k kept, m time.

-- Time between two settings of the expiry, which is longer by twice as much.
local REFRESH_MS = 60000

-- Entries that stay in the stream though they cannot be read any more, so that it is not trimmed each time.
local UNREADABLE_MAX = 32

-- nil if there is none. What the stream lost by eviction or expiry counts as gone.
local function open(hash, stream)
  local v = redis.call('HMGET', hash, 'e', 'o', 't', 'f', 'p', 'b', 'z', 'x', 'c', 'y', 'a', 'r', 'w', 'q')
  if not v[1] then
    return nil
  end
  local log = {
    e = v[1], o = tonumber(v[2]), t = v[3], f = tonumber(v[4]), p = tonumber(v[5]), b = tonumber(v[6]), z = v[7] == '1',
    x = tonumber(v[8]), c = tonumber(v[9]), y = tonumber(v[10]), a = tonumber(v[11]), r = tonumber(v[12]), w = v[13],
    q = v[14],
  }
  local length = redis.call('XLEN', stream)
  if length ~= log.o - log.p then
    log.lacks = length
    log.f, log.p, log.b, log.z = log.o, log.o, 0, true
  end
  return log
end

local function begin(epoch, stream)
  return {
    e = epoch, o = 0, t = '0', f = 0, p = 0, b = 0, z = true, x = 0, c = 0, y = 0, a = 0, r = 0, w = false,
    lacks = redis.call('XLEN', stream),
  }
end

local function bound(log, count, bytes, age)
  count, bytes, age = tonumber(count), tonumber(bytes), tonumber(age)
  if count ~= log.c or bytes ~= log.y or age ~= log.a then
    log.c, log.y, log.a, log.r = count, bytes, age, 0
  end
end

local function add(log, stream, tag, kept, time)
  if log.lacks then
    -- Entries of a life whose hash is gone, or part of a stream.
    if log.lacks > 0 then
      redis.call('DEL', stream)
    end
    log.lacks = nil
  end
  local nothing = log.f == log.o
  log.o = log.o + 1
  log.t = tag
  if nothing and log.c == 0 and log.p == log.f then
    -- Nothing was kept and nothing will be: the stream is not needed.
    log.f, log.p = log.o, log.o
    return
  end
  if nothing then
    log.x, log.r = time, 0
  end
  log.b = log.b + #kept
  redis.call('XADD', stream, int(log.o) .. '-1', 'g', tag, 'k', kept, 'm', int(time))
end

local function fits(log, time)
  return log.o - log.f <= log.c and log.b <= log.y and time - log.x <= log.a
end

-- The oldest so many that can be read.
local function oldest(log, stream, count)
  return redis.call('XRANGE', stream, int(log.f + 1) .. '-1', '+', 'COUNT', int(count))
end

-- Make b exact.
local function weigh(log, stream)
  log.f = math.max(log.f, log.o - log.c)
  log.b, log.z = 0, true
  local from = log.f
  while from < log.o do
    local some = redis.call('XRANGE', stream, int(from + 1) .. '-1', '+', 'COUNT', '64')
    if #some == 0 then
      break
    end
    for i = 1, #some do
      log.b = log.b + #some[i][2][4]
    end
    from = from + #some
  end
end

-- What is over a bound can be read no more. What goes by count alone is not looked at, as long as nothing is near the
-- bound of bytes: then b is too high, until that matters. Says whether anything changed.
local function trim(log, stream, time, now)
  local floor, held = log.f, log.p
  while log.f < log.o and not fits(log, time) do
    local over = log.o - log.f - log.c
    if log.b > log.y and not log.z then
      weigh(log, stream)
    elseif over > 0 and log.b <= log.y and time - log.x <= log.a and (not log.z or log.b * 2 <= log.y) then
      log.f, log.z = log.o - log.c, false
    else
      local some = oldest(log, stream, math.min(math.max(over, 1), 64) + 1)
      if #some == 0 then
        log.f = log.o
      end
      for i = 1, #some do
        local fields = some[i][2]
        log.x = tonumber(fields[6])
        if fits(log, time) then
          break
        end
        log.f = log.f + 1
        log.b = log.b - #fields[4]
      end
    end
  end
  if log.f == log.o then
    log.b, log.z, log.p = 0, true, log.o
    if log.p > held or (log.lacks and log.lacks > 0) then
      redis.call('DEL', stream)
    end
  elseif log.f - log.p >= UNREADABLE_MAX or (log.f > log.p and (log.z or now)) then
    log.p = log.f
    redis.call('XTRIM', stream, 'MINID', int(log.f + 1) .. '-1')
  end
  return log.f > floor or log.p > held or log.lacks ~= nil
end

local function exact(log)
  if log.z then
    return '1'
  end
  return '0'
end

-- What everything went of is remembered for a week more; a cell that has a value, for ever.
local function store(log, hash, stream, time)
  redis.call('HSET', hash, 'o', int(log.o), 't', log.t, 'f', int(log.f), 'p', int(log.p), 'b', int(log.b),
    'z', exact(log), 'x', int(log.x))
  if time - log.r > REFRESH_MS then
    redis.call('HSET', hash, 'e', log.e, 'c', int(log.c), 'y', int(log.y), 'a', int(log.a), 'r', int(time))
    redis.call('PEXPIRE', stream, int(log.a + 2 * REFRESH_MS))
    if log.w == 'v' then
      redis.call('PERSIST', hash)
    else
      redis.call('PEXPIRE', hash, int(log.a + 2 * REFRESH_MS + WEEK_MS))
    end
  end
end

local function position(log)
  return log.e .. ' ' .. int(log.o) .. ' ' .. log.t
end
