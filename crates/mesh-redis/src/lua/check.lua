-- KEYS: alive. ARGV: me. Only to be fenced.
return 1
