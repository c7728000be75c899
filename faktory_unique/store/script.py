"""The one script: a compared change, for what `SET … NX GET` cannot say.

KEYS[1]  the lock
ARGV[1]  the value it gets; empty: it is freed
ARGV[2]  seconds that the new value lives
ARGV[3]  1: a lock that would have lived longer keeps the time it has
ARGV[4…] the values it may have for that; empty: absent

Returns the value found, false (nil) where no lock was. One key, so it runs on a Cluster; no owner
is empty, so the empty string is free to mean "none".
"""

from hashlib import sha1

CHANGE = b"""\
local found = redis.call('GET', KEYS[1])
for i = 4, #ARGV do
  if ARGV[i] == (found or '') then
    if ARGV[1] == '' then
      redis.call('DEL', KEYS[1])
    elseif ARGV[3] == '1' and redis.call('TTL', KEYS[1]) >= tonumber(ARGV[2]) then
      redis.call('SET', KEYS[1], ARGV[1], 'KEEPTTL')
    else
      redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
    end
    break
  end
end
return found
"""

CHANGE_SHA = sha1(CHANGE, usedforsecurity=False).hexdigest()
