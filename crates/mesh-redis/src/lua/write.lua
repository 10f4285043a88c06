-- KEYS: alive, hash, stream, counts, index. ARGV: me, PUBLISH, channel, epoch if there is none, count_max, bytes_max,
-- age_max, epoch expected ('' for: never written), version expected, 1 if there is a value and 2 more if it insists, value,
-- name; then of each
-- step: tag, kept, 1 if it is announced, announcement.
-- Gives 1, epoch, version; or 2 and what is there; or 3 if it is the turn of another one.
-- In the hash: q '<incarnation> <ms>', whose turn it is and until when.
local STEPS = 13
local TURN_MS = 100
local time = now_ms()
local log = open(KEYS[2], KEYS[3])
local written = log and log.w
local expected
if ARGV[8] == '' then
  expected = not written
else
  expected = written and log.e == ARGV[8] and log.o == tonumber(ARGV[9])
end
local turn, ends
if log and log.q then
  turn, ends = string.match(log.q, '^(%S+) (%d+)$')
end
if turn and turn ~= ARGV[1] and time < tonumber(ends) then
  return { 3 }
end
local flags = tonumber(ARGV[10])
local has_value, insists = flags % 2 == 1, flags >= 2
if not expected then
  if not written then
    return { 2 }
  end
  if insists then
    redis.call('HSET', KEYS[2], 'q', ARGV[1] .. ' ' .. int(time + TURN_MS))
  end
  return { 2, log.e, int(log.o), log.t, redis.call('HGET', KEYS[2], 'd') }
end
if turn then
  redis.call('HDEL', KEYS[2], 'q')
end
log = log or begin(ARGV[4], KEYS[3])
bound(log, ARGV[5], ARGV[6], ARGV[7])
local announced = 0
local positions = {}
for i = STEPS, #ARGV, 4 do
  add(log, KEYS[3], ARGV[i], ARGV[i + 1], time)
  positions[i] = position(log)
  announced = announced + tonumber(ARGV[i + 2])
end
trim(log, KEYS[3], time)
if has_value then
  redis.call('HSET', KEYS[2], 'w', 'v', 'd', ARGV[11])
  if log.w ~= 'v' then
    redis.call('ZADD', KEYS[5], 0, ARGV[12])
    log.w, log.r = 'v', 0
  end
else
  redis.call('HSET', KEYS[2], 'w', 'g')
  redis.call('HDEL', KEYS[2], 'd')
  if log.w ~= 'g' then
    redis.call('ZREM', KEYS[5], ARGV[12])
    log.w, log.r = 'g', 0
  end
end
store(log, KEYS[2], KEYS[3], time)
if announced > 0 then
  local n, heard = mint(KEYS[4], announced), 0
  for i = STEPS, #ARGV, 4 do
    if ARGV[i + 2] == '1' then
      n = n + 1
      heard = tell(ARGV[3], n, positions[i], ARGV[i + 3])
      if n % 64 == 1 then
        redis.call('PEXPIRE', KEYS[4], WEEK_MS)
      end
    end
  end
  told(KEYS[4], n, heard)
end
return { 1, log.e, int(log.o) }
