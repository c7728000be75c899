import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";

import { lockKey } from "./key.mjs";
import { stampOf } from "./life.mjs";

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

// What proves that a job was not stored; any other error may have come after that (§5).
const REFUSAL = /^(jobs must have an? |jobs cannot be reserved for |invalid timestamp|[A-Z]{2,} )/;

/** Pushes a new job that is due at once, unless its equal is there: the jid of the one that is. */
export async function push(redis, faktory, asked, ttl) {
  const job = structuredClone(asked); // the key is of what is sent
  const { jid: held, at, custom } = job;
  if (!(held?.length >= 8) || held.endsWith("?")) throw new Error(`${held} is no jid`);
  const says = custom && ("unique_for" in custom || "unique_until" in custom);
  if (!(ttl >= 1 && ttl <= 315_360_000) || at || says) throw new Error("not for such jobs");
  const key = lockKey(job);
  const leased = `${held}?`;
  const found = await redis.set(key, leased, { NX: true, GET: true, EX: 60 });
  if (found?.endsWith("?")) throw new Error(`${found} is unconfirmed: wait, then use a new jid`);
  if (found !== null) return found;
  const unique = { v: 2, key, owner: held, until: "success", ttl };
  // Where this throws, the job may be there: its lock is left to the lease.
  const refused = await faktory.pushBulk([{ ...job, custom: { ...custom, unique } }]);
  const [why] = Object.values(refused);
  const then = why ? [] : [held, ttl];
  if (!why || REFUSAL.test(why.reason)) {
    await change(redis, key, [leased, leased], ...then).catch(() => {}); // or the lease runs out
  }
  if (why) throw new Error(why.reason);
  return held;
}

/** A worker's middleware, its first: frees the lock of a job once Faktory has acknowledged it. */
export const frees = (redis, faktory) => async ({ job, signal }, next) => {
  const stamp = stampOf(job);
  if (!stamp) return next(); // no lock, or one to be left alone
  const { key, owner, until, enforce } = stamp;
  const freed = () => change(redis, key, [owner, `${owner}?`]).then(() => true, () => false);
  const reserved = Math.min(Math.max(job.reserve_for || 1800, 60), 86_400);
  const over = performance.now() + (reserved - 10) * 1000;
  if (until === "start" && !(await Promise.race([freed(), setTimeout(2000, false)])) && enforce) {
    // While its lock stands it is not to start: a copy in 10 s, and the worker's ACK for this one.
    const { enqueued_at: _, ...copy } = job;
    const at = new Date(Date.now() + 10_000).toISOString();
    const pushed = () => faktory.pushBulk([{ ...copy, jid: randomUUID(), at }]).catch(() => null);
    let refused; // a FAIL could be its last: so the copy is pushed until there is an answer
    while (!(refused = await pushed()) && performance.now() < over) await setTimeout(1000);
    if (!refused || Object.keys(refused).length) throw new Error("it cannot be put back");
    return;
  }
  await next(); // where it throws, the worker reports it, and the lock is left to its TTL
  if (until !== "success" || signal.aborted || performance.now() > over) return;
  // The worker sends an ACK of its own after this, which the server finds nothing to do for.
  const acked = await faktory.ack(job.jid).then(() => true, () => false);
  if (acked && !signal.aborted && performance.now() < over) freed(); // else its TTL frees it
};
