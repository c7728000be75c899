// The Node program of the tests:
//
//   node main.mjs keys keys.json            the key of each case, or why it has none, as JSON
//   node main.mjs life life.json            the transitions of each case, as JSON
//   node main.mjs push JOB TTL              pushes a job; prints the jid that is there then
//   node main.mjs work [plain] JOBTYPE…     works until SIGTERM; plain: without locks
//
// FAKTORY_URL and REDIS_URL name the servers. The first argument of a job can be "fail", or
// "wait" with seconds as the second.

import { readFileSync, writeSync } from "node:fs";
import { setTimeout } from "node:timers/promises";

import canonicalize from "canonicalize";
import faktory from "faktory-worker";
import { isInteger, parse } from "lossless-json";
import { createClient } from "redis";

import { lockKey, workOf } from "./key.mjs";
import { change } from "./life.mjs";
import { push, releaseLocks } from "./lock.mjs";

// JSON.parse would round a large integer before it can be refused.
function numberOf(text) {
  const number = Number(text);
  return isInteger(text) && !Number.isSafeInteger(number) ? BigInt(text) : number;
}

const read = (text) => parse(text, null, numberOf);

function answer({ jobtype, queue, args, custom, policy = {} }) {
  try {
    const job = { jobtype, queue, args: read(args), custom };
    const { key: chosen } = policy;
    const asked = chosen === undefined ? policy : { ...policy, key: () => read(chosen) };
    return { canonical: canonicalize(workOf(job, asked)), key: lockKey(job, asked) };
  } catch (error) {
    return { refused: String(error.message) };
  }
}

async function redis() {
  // Without a listener an error ends the process; with one, the client connects again.
  return createClient({ url: process.env.REDIS_URL }).on("error", console.error).connect();
}

const commands = {
  keys(file) {
    const { cases } = JSON.parse(readFileSync(file, "utf8"));
    writeSync(1, JSON.stringify(cases.map(answer)));
  },

  life(file) {
    const { cases } = JSON.parse(readFileSync(file, "utf8"));
    const found = ({ job, changes }) =>
      Object.keys(changes).map((step) => {
        const [name, delay] = step.split(" ");
        return [step, change(name, job, Number(delay ?? 0))];
      });
    writeSync(1, JSON.stringify(cases.map((one) => Object.fromEntries(found(one)))));
  },

  async push(job, ttl) {
    const [store, client] = [await redis(), await faktory.connect()];
    try {
      console.log(await push(store, client, JSON.parse(job), Number(ttl)));
    } finally {
      await client.close();
      await store.close();
    }
  },

  async work(...jobtypes) {
    const plain = jobtypes[0] === "plain";
    const store = await redis();
    for (const jobtype of plain ? jobtypes.slice(1) : jobtypes) {
      faktory.register(jobtype, (...args) => async ({ job }) => {
        console.log(job.jid);
        if (args[0] === "wait") await setTimeout(args[1] * 1000);
        if (args[0] === "fail") throw new Error("asked to fail");
      });
    }
    const client = await faktory.connect();
    if (!plain) faktory.use(releaseLocks(store, client));
    const worker = await faktory.work();
    process.removeAllListeners("SIGTERM"); // the worker's handler leaves the connections open
    process.once("SIGTERM", async () => {
      await worker.stop();
      await client.close();
      store.destroy();
    });
  },
};

const [command, ...words] = process.argv.slice(2);
await commands[command](...words);
