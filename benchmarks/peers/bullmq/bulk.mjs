// BullMQ: addBulk of 1000 unique jobs at a time. Without a ttl, a deduplication id is locked until
// its job has completed or failed, which is nearest to a unique job.
//
// Started as `node bulk.mjs REDIS`; says `ready`, and then for each line `bulk COUNT` on stdin how
// many seconds that took. Whoever asks flushes Redis before.

import { createInterface } from "node:readline";
import { Queue } from "bullmq";
import { Redis } from "ioredis";

const BATCH = 1000;

const connection = new Redis(process.argv[2]);
const queue = new Queue("default", { connection });

const idOf = (n) => `SendMail:${n}:welcome`;

function job(n) {
  return { name: "SendMail", data: [n, "welcome"], opts: { deduplication: { id: idOf(n) } } };
}

async function bulk(count) {
  const start = performance.now();
  for (let from = 0; from < count; from += BATCH) {
    const jobs = [];
    for (let n = from; n < Math.min(from + BATCH, count); n++) jobs.push(job(n));
    await queue.addBulk(jobs);
  }
  return (performance.now() - start) / 1000;
}

async function makeSure(count) {
  const waiting = await queue.getWaitingCount();
  if (waiting !== count) throw new Error(`${waiting} jobs are waiting instead of ${count}`);
  const locks = await connection.keys("bull:default:de:*");
  if (locks.length !== count) throw new Error(`${locks.length} ids are locked instead of ${count}`);
}

try {
  await queue.waitUntilReady();
  await bulk(BATCH);
  console.log("ready");
  for await (const line of createInterface({ input: process.stdin })) {
    const [operation, count] = line.split(" ");
    if (operation !== "bulk") throw new Error(`no such operation: ${operation}`);
    if (await queue.getWaitingCount()) throw new Error("Redis was not flushed");
    const seconds = await bulk(Number(count));
    await makeSure(Number(count));
    console.log(seconds);
  }
  await queue.close();
  await connection.quit();
} catch (error) {
  console.error(error);
  process.exit(1);
}
