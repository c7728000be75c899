-- Change a lock as compare_and_set.lua does, unless another job has replaced its owner.
--
-- It can replace another owner at the same time: write its tombstone and take over its lock.
--
-- A tombstone says that an owner was replaced. Its value is the successor: the owner of the job
-- that replaced it.
--
-- Returns the value found before the change; nil if there was no lock. If a tombstone forbids the
-- change, returns the successor, followed by two question marks, and changes nothing.
--
-- KEYS[1]       the lock
-- KEYS[2]       this owner's tombstone; if it exists, it forbids the change
-- KEYS[3]       only if another owner is replaced: the tombstone of that owner
-- ARGV[1]       the lock's new value; empty: delete the lock
-- ARGV[2]       the TTL of the new value, in whole seconds
-- ARGV[3]       1: keep the lock's present TTL if it is longer; 0: always set ARGV[2]
-- ARGV[4]       this owner, which is the value of a tombstone written to KEYS[3]
-- ARGV[5]       the replaced owner's value of a held lock, which is expected, too
-- ARGV[6]       the shortest TTL of the tombstone at KEYS[3], in whole seconds
-- ARGV[7]       1: a tombstone that exists at KEYS[3] forbids the change, too
-- ARGV[8], ...  the other expected values; empty: no lock
--
-- All keys are in one slot, so the script runs on a Cluster.
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
local successor = redis.call('GETEX', KEYS[2])
if successor then
  return successor .. '??'
end
local found = redis.call('GETEX', KEYS[1])
local expected = false
if KEYS[3] then
  successor = redis.call('GET', KEYS[3])
  if successor and ARGV[7] == '1' then
    return successor .. '??'
  end
  expected = found == ARGV[5]
  -- No tombstone if this owner has the lock already: it was written with the swap, and the
  -- replaced owner may be back by now with work of its own.
  if not (successor or found == ARGV[4] or found == ARGV[4] .. '?') then
    local ttl = tonumber(ARGV[6])
    if expected then
      ttl = math.max(ttl, redis.call('TTL', KEYS[1]))
    end
    redis.call('SET', KEYS[3], ARGV[4], 'EX', ttl)
    expected = expected or not found
  end
end
for i = 8, #ARGV do
  expected = expected or ARGV[i] == (found or '')
end
if expected then
  write()
end
return found
