-- KEYS: alive, hash, stream. ARGV: me, n(ewest) or b(efore) or a(fter), limit, offset, epoch, tag.
-- Gives epoch, newest and its tag, the offset before the oldest, whether it is lost, entries.
local log = open(KEYS[2], KEYS[3])
if not log then
  return { 1 }
end
if trim(log, KEYS[3], now_ms(), true) then
  redis.call('HSET', KEYS[2], 'f', int(log.f), 'p', int(log.p), 'b', int(log.b), 'z', exact(log), 'x', int(log.x))
end
local limit, offset = tonumber(ARGV[3]), tonumber(ARGV[4])
local first, stop = log.f + 1, log.o + 1
local from, lost = stop, 0
if ARGV[2] == 'n' then
  from = math.max(first, stop - limit)
elseif ARGV[2] == 'b' then
  stop = math.max(first, math.min(offset, stop))
  from = math.max(first, stop - limit)
else
  local tag = ARGV[6]
  if offset == log.o then
    tag = log.t
  elseif offset > log.f and offset < log.o then
    tag = redis.call('XRANGE', KEYS[3], int(offset) .. '-1', int(offset) .. '-1')[1][2][2]
  end
  if ARGV[5] ~= log.e or offset > log.o or tag ~= ARGV[6] then
    lost = 1
  else
    if offset + 1 < first then
      lost = 1
    end
    from = math.max(first, offset + 1)
    stop = math.min(from + limit, stop)
  end
end
local entries = {}
if from < stop then
  entries = redis.call('XRANGE', KEYS[3], int(from) .. '-1', int(stop - 1) .. '-1')
end
return { 1, log.e, int(log.o), log.t, int(log.f), lost, entries }
