-- KEYS: alive, then those of each cell. ARGV: me, PUBLISH, then of each cell: its arguments, how many steps, the steps.
-- Gives 1, and epoch and version of each that has steps; or 2, which cell is not as expected, counted from 0, and what is
-- there.
local time = now_ms()
local cells = {}
local k, a, compared = 2, 3, 0
while KEYS[k] do
  local reply = { 2, compared }
  local log = expected(k, a, reply)
  if not log then
    return reply
  end
  local from = a + 11
  local to = from + 4 * tonumber(ARGV[a + 10]) - 1
  if to > from then
    cells[#cells + 1] = { log = log, k = k, a = a, from = from, to = to }
  end
  k, a, compared = k + 4, to + 1, compared + 1
end
local versions = {}
for i = 1, #cells do
  local cell = cells[i]
  cell.positions, cell.announced = put(cell.log, cell.k, cell.a, cell.from, cell.to, time)
  versions[2 * i - 1], versions[2 * i] = cell.log.e, int(cell.log.o)
end
for i = 1, #cells do
  local cell = cells[i]
  announce(cell.k, cell.a, cell.from, cell.to, cell.positions, cell.announced)
end
return { 1, versions }
