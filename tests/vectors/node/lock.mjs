import { lockKey } from "./key.mjs";

// A compared change: the lock gets another value, or is freed, if it has one of two.
const CHANGE = `
local found = redis.call("GET", KEYS[1])
if found == ARGV[1] or found == ARGV[2] then
  if ARGV[3] == "" then redis.call("DEL", KEYS[1])
  else redis.call("SET", KEYS[1], ARGV[3], "EX", ARGV[4]) end
end
return found`;
const change = (redis, key, owner, value = "", ttl = 0) =>
  redis.eval(CHANGE, { keys: [key], arguments: [...owner, value, String(ttl)] });

/** Pushes a job that is due at once, unless its equal is there: the jid of the one that is. */
export async function push(redis, faktory, job, ttl) {
  const key = lockKey(job);
  const { jid: held } = job;
  const leased = `${held}?`;
  const found = await redis.set(key, leased, { NX: true, GET: true, EX: 60 });
  if (found !== null) return found.replace(/[?]$/, "");
  const unique = { v: 2, key, owner: held, until: "success", ttl };
  // Where this throws, the job may be there: its lock is left to the lease.
  const refused = await faktory.pushBulk([{ ...job, custom: { ...job.custom, unique } }]);
  const then = refused[held] ? [] : [held, ttl];
  await change(redis, key, [leased, leased], ...then).catch(() => {}); // or the lease runs out
  if (refused[held]) throw new Error(refused[held].reason);
  return held;
}

/** A worker's middleware: frees the lock of a job once Faktory has acknowledged it. */
export const frees = (redis, faktory) => async ({ job }, next) => {
  const { v, key, owner, until } = job.custom?.unique ?? {};
  if (v !== 1 && v !== 2) return next(); // without a lock, or of a version that we know nothing of
  const free = () => change(redis, key, [owner, `${owner}?`]);
  const reserved = Math.max(job.reserve_for || 1800, 60);
  const over = Date.now() + (reserved - 10) * 1000;
  if (until === "start") await free();
  await next(); // where it throws, the worker reports it, and the lock is left to its TTL
  if (until !== "success" || Date.now() > over) return;
  // The worker sends an ACK of its own after this, which the server finds nothing to do for.
  await faktory.ack(job.jid).then(free).catch(() => {}); // or its TTL frees it
};
