-- KEYS: alive, hash, stream, counts. ARGV: me, PUBLISH, channel, epoch if there is none, count_max, bytes_max,
-- age_max, tag, kept, announcement if any.
local time = now_ms()
local log = open(KEYS[2], KEYS[3]) or begin(ARGV[4], KEYS[3])
bound(log, ARGV[5], ARGV[6], ARGV[7])
add(log, KEYS[3], ARGV[8], ARGV[9], time)
trim(log, KEYS[3], time)
store(log, KEYS[2], KEYS[3], time)
if ARGV[10] then
  say(KEYS[4], ARGV[3], position(log), ARGV[10])
end
return { 1, log.e, int(log.o) }
