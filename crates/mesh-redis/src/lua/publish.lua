-- KEYS: alive, counts. ARGV: me, PUBLISH, channel, blob.
say(KEYS[2], ARGV[3], '-', ARGV[4])
return 1
