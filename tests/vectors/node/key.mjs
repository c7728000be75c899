// The key of a job's work, by docs/key-format.md. Args are JavaScript values; an integer beyond
// ±(2**53-1) is a BigInt, and refused.

import { createHash } from "node:crypto";

import canonicalize from "canonicalize";

const DEEPEST = 200;
const LONGEST = 315_360_000;
const POSITION = /^(0|[1-9][0-9]{0,15})$/;

/** The Redis key that stands for the work of this job; throws if it has none. */
export function lockKey(job, policy = {}) {
  const work = workOf(job, policy);
  const digest = createHash("sha256").update(canonicalize(work)).digest().subarray(0, 16);
  const name = work.jobtype.replace(/[%{}]/g, encodeURIComponent);
  return `unique:1:${name}:${digest.toString("base64url")}`;
}

/** The object that is canonicalized by RFC 8785 and digested. */
export function workOf({ jobtype, queue, args, custom }, policy) {
  const asked = saysItself(custom) ? { per_queue: true } : policy;
  const { scope = jobtype, by, key, per_queue } = asked;
  if (!jobtype || !scope || !Array.isArray(args) || (by && key) || by?.length === 0) {
    throw new Error("no jobtype, args that are no list, or no selection");
  }
  checked(args); // all of them: the whole job is sent
  const work = { jobtype: scope };
  if (by) {
    work.by = by.map(pathOf);
    work.args = work.by.map((path) => select(args, path));
  } else if (key) {
    work.key = checked(key(args));
  } else {
    work.args = args;
  }
  if (per_queue) work.queue = queue || "default";
  return work;
}

/** Whether the job itself says that it is unique, by Enterprise's rules. */
function saysItself(custom) {
  const { unique_for: unique, unique_until: until } = custom ?? {};
  if ((unique ?? null) === null && (until ?? null) === null) return false;
  const fits = typeof unique === "number" && unique >= 1 && unique <= LONGEST;
  if (!fits || ![undefined, null, "success", "start"].includes(until)) {
    throw new Error(`impossible words: ${unique}, ${until}`);
  }
  return true;
}

function pathOf(path) {
  if (typeof path !== "string" && !Number.isInteger(path)) throw new Error("no path into args");
  const [position, ...steps] = String(path).split(".");
  if (!POSITION.test(position) || !Number.isSafeInteger(Number(position)) || steps.includes("")) {
    throw new Error(`${path} is not a path into args`);
  }
  return steps.length ? path : Number(position);
}

function select(args, path) {
  let found = args;
  for (const step of String(path).split(".")) {
    const there = Array.isArray(found)
      ? POSITION.test(step) && Number(step) < found.length
      : isObject(found) && Object.hasOwn(found, step);
    if (!there) throw new Error(`args have no ${path}`);
    found = found[step];
  }
  return found;
}

function checked(value) {
  if (depth(value) > DEEPEST) throw new Error(`nested deeper than ${DEEPEST} levels`);
  canonicalize(value); // throws at lone surrogates, NaN and infinities
  return value;
}

function depth(value) {
  if (!isObject(value)) {
    if (value === null || ["boolean", "number", "string"].includes(typeof value)) return 0;
    throw new Error(`${typeof value} is not JSON`);
  }
  const inner = Array.isArray(value) ? Array.from(value) : Object.values(plain(value));
  return 1 + inner.reduce((deepest, one) => Math.max(deepest, depth(one)), 0);
}

/** The object, if it is no Date, Map or the like: JSON would make another value of it. */
function plain(object) {
  const prototype = Object.getPrototypeOf(object);
  if (prototype === null || prototype === Object.prototype) return object;
  throw new Error(`${prototype.constructor.name} is not JSON`);
}

function isObject(value) {
  return typeof value === "object" && value !== null;
}
