-- In each shard. KEYS: alive. ARGV: me, after which mark, limit. Gives 1, and kind, who and roster of each.
local marks = redis.call('ZRANGEBYLEX', owned(ARGV[1]), ARGV[2], '+', 'LIMIT', '0', ARGV[3])
local found = {}
for i = 1, #marks do
  local kind, who, name = string.match(marks[i], '^(.)(%S+) (.*)$')
  found[#found + 1] = kind
  found[#found + 1] = who
  found[#found + 1] = name
end
return { 1, found }
