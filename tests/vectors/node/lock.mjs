import { setTimeout } from "node:timers/promises";

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
  redis.eval(CHANGE, { keys: [key], arguments: [...owner, value, String(Math.ceil(ttl))] });

/** Pushes a job that is due at once, unless its equal is there: the jid of the one that is. */
export async function push(redis, faktory, job, ttl) {
  const { jid: held } = job;
  if (!(held?.length >= 8) || held.endsWith("?")) throw new Error(`${held} is no jid`);
  const key = lockKey(job);
  const leased = `${held}?`;
  const found = await redis.set(key, leased, { NX: true, GET: true, EX: 60 });
  if (found?.endsWith("?")) throw new Error(`push of ${found} unconfirmed: try again in a minute`);
  if (found !== null) return found;
  const unique = { v: 2, key, owner: held, until: "success", ttl };
  // Where this throws, the job may be there: its lock is left to the lease.
  const refused = await faktory.pushBulk([{ ...job, custom: { ...job.custom, unique } }]);
  const then = refused[held] ? [] : [held, ttl];
  await change(redis, key, [leased, leased], ...then).catch(() => {}); // or the lease runs out
  if (refused[held]) throw new Error(refused[held].reason);
  return held;
}

/** A worker's middleware, its first: frees the lock of a job once Faktory has acknowledged it. */
export const frees = (redis, faktory) => async ({ job, signal }, next) => {
  const { v, key, owner, until, enforce = true } = job.custom?.unique ?? {};
  if ((v !== 1 && v !== 2) || !key || !owner) return next(); // no lock, or one to be left alone
  const free = () => change(redis, key, [owner, `${owner}?`]).then(() => true, () => false);
  const reserved = Math.min(Math.max(job.reserve_for || 1800, 60), 86_400);
  const over = Date.now() + (reserved - 10) * 1000;
  while (until === "start" && !(await free()) && enforce && Date.now() < over) {
    await setTimeout(1000);
  }
  if (until === "start" && Date.now() > over) throw new Error("its lock was not freed in time");
  await next(); // where it throws, the worker reports it, and the lock is left to its TTL
  if (until !== "success" || signal.aborted || Date.now() > over) return;
  // The worker sends an ACK of its own after this, which the server finds nothing to do for.
  const acked = await faktory.ack(job.jid).then(() => true, () => false);
  if (acked && Date.now() < over) free(); // else its TTL does
};
