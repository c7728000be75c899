import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";

import { lockKey } from "./key.mjs";
import { stampOf } from "./life.mjs";

// A transition: gives the lock another value, or releases it, if it has one of two values.
const TRANSITION = `
local found = redis.call("GET", KEYS[1])
if found == ARGV[1] or found == ARGV[2] then
  if ARGV[3] == "" then redis.call("DEL", KEYS[1])
  else redis.call("SET", KEYS[1], ARGV[3], "EX", ARGV[4]) end
end
return found`;
const transition = (redis, key, expected, value = "", ttl = 0) =>
  redis.eval(TRANSITION, { keys: [key], arguments: [...expected, value, String(Math.ceil(ttl))] });

// These errors prove that a job was not stored; any other may have come after that (§5).
const REFUSAL = /^(jobs must have an? |jobs cannot be reserved for |invalid timestamp|[A-Z]{2,} )/;

/** Pushes a new job, due at once, unless an equal one is there. Returns the jid that is there. */
export async function push(redis, faktory, asked, ttl) {
  const job = structuredClone(asked); // the key is made from the job that is sent
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
  // If this throws, the job may be there: its lock is left to the lease.
  const refused = await faktory.pushBulk([{ ...job, custom: { ...custom, unique } }]);
  const [why] = Object.values(refused);
  const then = why ? [] : [held, ttl];
  if (!why || REFUSAL.test(why.reason)) {
    await transition(redis, key, [leased, leased], ...then).catch(() => {}); // or the lease ends
  }
  if (why) throw new Error(why.reason);
  return held;
}

/** The first middleware of a worker: releases a job's lock once Faktory has answered its ACK. */
export const releaseLocks = (redis, faktory) => async ({ job, signal }, next) => {
  const stamp = stampOf(job);
  if (!stamp) return next(); // no lock, or a stamp to be left alone
  const { key, owner, until, enforce } = stamp;
  const release = () => transition(redis, key, [owner, `${owner}?`]).then(() => true, () => false);
  const reserved = Math.min(Math.max(job.reserve_for || 1800, 60), 86_400);
  const over = performance.now() + (reserved - 10) * 1000;
  if (until === "start" && !(await Promise.race([release(), setTimeout(2000, false)])) && enforce) {
    // The job must not start while its lock stands: push a copy due in 10 s; the worker sends ACK.
    const { enqueued_at: _, ...copy } = job;
    const at = new Date(Date.now() + 10_000).toISOString();
    const pushed = () => faktory.pushBulk([{ ...copy, jid: randomUUID(), at }]).catch(() => null);
    let refused; // a FAIL could be its last: so the copy is pushed until a reply comes
    while (!(refused = await pushed()) && performance.now() < over) await setTimeout(1000);
    if (!refused || Object.keys(refused).length) throw new Error("the job cannot be requeued");
    return;
  }
  await next(); // if it throws, the worker reports it, and the lock is left to its TTL
  if (until !== "success" || signal.aborted || performance.now() > over) return;
  // The worker sends its own ACK after this one; the server finds no job and answers OK.
  const acked = await faktory.ack(job.jid).then(() => true, () => false);
  if (acked && !signal.aborted && performance.now() < over) release(); // else its TTL ends it
};
