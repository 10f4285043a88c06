-- KEYS: alive, then the cell's. ARGV: me, PUBLISH, then the cell's, then its steps. Gives 1, epoch, version; or 2 and what
-- is there; or 3 if it is the turn of another one.
-- In the hash: q '<incarnation> <ms>', whose turn it is and until when.
local STEPS = 13
local TURN_MS = 100
local time = now_ms()
local reply = { 2 }
local log, opened = expected(2, 3, reply)
local turn, ends
if opened and opened.q then
  turn, ends = string.match(opened.q, '^(%S+) (%d+)$')
end
if turn and turn ~= ARGV[1] and time < tonumber(ends) then
  return { 3 }
end
if not log then
  if opened and opened.w and tonumber(ARGV[10]) >= 2 then
    redis.call('HSET', KEYS[2], 'q', ARGV[1] .. ' ' .. int(time + TURN_MS))
  end
  return reply
end
if turn then
  redis.call('HDEL', KEYS[2], 'q')
end
local positions, announced = put(log, 2, 3, STEPS, #ARGV, time)
announce(2, 3, STEPS, #ARGV, positions, announced)
return { 1, log.e, int(log.o) }
