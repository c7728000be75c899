-- Change a lock if its value is one of those that the caller expects.
--
-- Returns the value found before the change; nil if there was no lock. No value is ever empty, so
-- the empty string can stand for "no lock".
--
-- KEYS[1]       the lock
-- ARGV[1]       its new value; empty: delete the lock
-- ARGV[2]       the TTL of the new value, in whole seconds
-- ARGV[3]       1: keep the lock's present TTL if it is longer; 0: always set ARGV[2]
-- ARGV[4], ...  the expected values; empty: no lock
local function write()
  if ARGV[1] == '' then
    redis.call('DEL', KEYS[1])
  elseif ARGV[3] == '1' and redis.call('TTL', KEYS[1]) >= tonumber(ARGV[2]) then
    redis.call('SET', KEYS[1], ARGV[1], 'KEEPTTL')
  else
    redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
  end
end

-- GETEX, not GET: a write, so that a replica refuses it instead of comparing old data.
local found = redis.call('GETEX', KEYS[1])
for i = 4, #ARGV do
  if ARGV[i] == (found or '') then
    write()
    break
  end
end
return found
