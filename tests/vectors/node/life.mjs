// The transition of a fetched job's lock at each step: docs/key-format.md §6.

const LONGEST = 315_360_000;

const isText = (value, most) => typeof value === "string" && Buffer.byteLength(value) <= most;
const TYPES = {
  key: (value) => isText(value, 1_568) && /^unique:1:[^{}]+:[A-Za-z0-9_-]{22}$/.test(value),
  owner: (value) => isText(value, 512) && value !== "" && !value.endsWith("?"),
  until: (value) => ["success", "start", "expiry"].includes(value),
  ttl: (value) => typeof value === "number" && value >= 1 && value <= LONGEST,
  renew: (value) => typeof value === "boolean",
  on_death: (value) => ["release", "keep"].includes(value),
  enforce: (value) => typeof value === "boolean",
  exclusive: (value) => typeof value === "boolean",
  replaceable: (value) => typeof value === "boolean",
  replaces: (value) => value === null || TYPES.owner(value),
};
const USUAL = {
  renew: true,
  on_death: "release",
  enforce: true,
  exclusive: false,
  replaceable: false,
  replaces: null,
};

/** The stamp of a job; null if it has none, or a stamp that is to be left alone. */
export function stampOf(job) {
  const stamp = { ...USUAL, ...job.custom?.unique };
  const known = stamp.v === 1 || stamp.v === 2;
  return known && Object.entries(TYPES).every(([name, fits]) => fits(stamp[name])) ? stamp : null;
}

/** The transition at FETCH, ACK, ACK_LATE, FAIL or PUT_BACK (a requeue, `delay` s); or null. */
export function change(step, job, delay = 0) {
  const stamp = stampOf(job);
  if (!stamp || stamp.until === "expiry") return null;
  const { owner, ttl, renew } = stamp;
  const [leased, held] = [`${owner}?`, owner];
  const seconds = (time) => Math.ceil(Math.min(time, LONGEST));
  const release = { expected: [leased, held], value: null, ttl: 0, extends: false };
  const make = (expected, time, longer) => {
    return { expected, value: held, ttl: seconds(time), extends: longer };
  };
  const extend = (time) => (renew ? make([leased, held], time, true) : null);
  const { outcome, retryWait, attempt } = next(job, stamp);
  const over = outcome === "dropped" || (outcome === "dead" && stamp.on_death === "release");

  switch (`${step} ${stamp.until}`) {
    case "FETCH success":
      if (!renew) return make([leased], ttl, false);
      return make([leased, held, null], attempt, outcome === "retried");
    case "FETCH start":
    case "ACK success":
      return release;
    case "ACK_LATE success":
      return over ? release : null;
    case "FAIL success":
    case "FAIL start":
      if (over) return release;
      if (outcome === "retried") return extend(retryWait + ttl);
      return renew ? make([leased, held], ttl, false) : null;
    case "PUT_BACK success":
    case "PUT_BACK start":
      return extend(Math.max((delay > 0 ? delay + 10 : 0) + ttl, attempt));
    default:
      return null;
  }
}

/** The outcome of a job's next failure, and the times that follow from it. */
function next({ retry, failure, reserve_for }, { ttl, on_death }) {
  const n = failure ? (failure.retry_count ?? 0) + 1 : 0;
  const reserve = Math.min(Math.max(reserve_for || 1800, 60), 86_400) + 30;
  const retryWait = n ** 4 + 15 + 29 * (n + 1) + 10;
  const lives = retry == null ? !failure : n < retry;
  const outcome = lives ? "retried" : retry == null || retry === 0 ? "dropped" : "dead";
  const after = { retried: retryWait + ttl, dead: on_death === "keep" ? ttl : 0, dropped: 0 };
  return { outcome, retryWait, attempt: reserve + after[outcome] };
}
