"""The scripts: a compared change, for what `SET … NX GET` cannot say, alone or with tombstones.

KEYS[1]  the lock
ARGV[1]  the value it gets; empty: it is freed
ARGV[2]  seconds that the new value lives
ARGV[3]  1: a lock that would have lived longer keeps the time it has
ARGV[4…] the values it may have for that; empty: absent

Returns the value found, false (nil) where no lock was. No owner is empty, so the empty string is
free to mean "none". One key, or keys of one slot, so they run on a Cluster.

With tombstones:

KEYS[2]  the tombstone that forbids all; what it says is returned, and two question marks
KEYS[3]  where another is replaced: his tombstone
ARGV[4]  by whom, which is what it is to say
ARGV[5]  the value of his lock, which the lock may have, too
ARGV[6]  seconds that his tombstone lives at the least
ARGV[7]  1: his tombstone, where he has it, forbids all, too
ARGV[8…] the values that the lock may have
"""

from __future__ import annotations

from hashlib import sha1

_MAKE = b"""\
local function make()
  if ARGV[1] == '' then
    redis.call('DEL', KEYS[1])
  elseif ARGV[3] == '1' and redis.call('TTL', KEYS[1]) >= tonumber(ARGV[2]) then
    redis.call('SET', KEYS[1], ARGV[1], 'KEEPTTL')
  else
    redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
  end
end
"""


class Script:
    """A script, and the name by which a server that knows it runs it."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.sha = sha1(text, usedforsecurity=False).hexdigest()


CHANGE = Script(
    _MAKE
    + b"""\
local found = redis.call('GET', KEYS[1])
for i = 4, #ARGV do
  if ARGV[i] == (found or '') then
    make()
    break
  end
end
return found
"""
)

CHANGE_WITH_TOMBSTONES = Script(
    _MAKE
    + b"""\
local successor = redis.call('GET', KEYS[2])
if successor then
  return successor .. '??'
end
local found = redis.call('GET', KEYS[1])
local expected = false
if KEYS[3] then
  successor = redis.call('GET', KEYS[3])
  if successor and ARGV[7] == '1' then
    return successor .. '??'
  end
  expected = found == ARGV[5]
  if not (successor or found == ARGV[4] or found == ARGV[4] .. '?') then
    local life = tonumber(ARGV[6])
    if expected then
      life = math.max(life, redis.call('TTL', KEYS[1]))
    end
    redis.call('SET', KEYS[3], ARGV[4], 'EX', life)
    expected = expected or not found
  end
end
for i = 8, #ARGV do
  expected = expected or ARGV[i] == (found or '')
end
if expected then
  make()
end
return found
"""
)
