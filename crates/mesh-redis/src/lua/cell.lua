-- What a write of a cell consists of. Its keys, from KEYS[k] on: hash, stream, counts, index. Its arguments, from ARGV[a]
-- on: channel, epoch if there is none, count_max, bytes_max, age_max, epoch expected ('' for: never written), version
-- expected, 1 if there is a value and 2 more if it insists, value, name. Its steps, from ARGV[from] to ARGV[to]: tag, kept, 1 if it is announced,
-- announcement.

-- The log, if what is there is what was expected; else nil, and `reply` says what is there. Then what was opened.
local function expected(k, a, reply)
  local log = open(KEYS[k], KEYS[k + 1])
  local written = log and log.w
  local as_expected
  if ARGV[a + 5] == '' then
    as_expected = not written
  else
    as_expected = written and log.e == ARGV[a + 5] and log.o == tonumber(ARGV[a + 6])
  end
  if as_expected then
    return log or begin(ARGV[a + 1], KEYS[k + 1]), log
  end
  if written then
    local n = #reply
    reply[n + 1], reply[n + 2], reply[n + 3] = log.e, int(log.o), log.t
    reply[n + 4] = redis.call('HGET', KEYS[k], 'd')
  end
  return nil, log
end

-- Keep the steps and store the value. Gives the positions of the steps, by where they are, and how many are announced.
local function put(log, k, a, from, to, time)
  bound(log, ARGV[a + 2], ARGV[a + 3], ARGV[a + 4])
  local announced = 0
  local positions = {}
  for i = from, to, 4 do
    add(log, KEYS[k + 1], ARGV[i], ARGV[i + 1], time)
    positions[i] = position(log)
    announced = announced + tonumber(ARGV[i + 2])
  end
  trim(log, KEYS[k + 1], time)
  if tonumber(ARGV[a + 7]) % 2 == 1 then
    redis.call('HSET', KEYS[k], 'w', 'v', 'd', ARGV[a + 8])
    if log.w ~= 'v' then
      redis.call('ZADD', KEYS[k + 3], 0, ARGV[a + 9])
      log.w, log.r = 'v', 0
    end
  else
    redis.call('HSET', KEYS[k], 'w', 'g')
    redis.call('HDEL', KEYS[k], 'd')
    if log.w ~= 'g' then
      redis.call('ZREM', KEYS[k + 3], ARGV[a + 9])
      log.w, log.r = 'g', 0
    end
  end
  store(log, KEYS[k], KEYS[k + 1], time)
  return positions, announced
end

-- Tell of the steps that are announced.
local function announce(k, a, from, to, positions, announced)
  if announced == 0 then
    return
  end
  local counts = KEYS[k + 2]
  local n, heard = mint(counts, announced), 0
  for i = from, to, 4 do
    if ARGV[i + 2] == '1' then
      n = n + 1
      heard = tell(ARGV[a], n, positions[i], ARGV[i + 3])
      if n % 64 == 1 then
        redis.call('PEXPIRE', counts, WEEK_MS)
      end
    end
  end
  told(counts, n, heard)
end
