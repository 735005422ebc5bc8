// An analytics job counts every human click that was led to a page once, whatever ends it or its stream in between.
//
// What is erased afterwards stays counted here: numbers name nobody. A job that keeps the clicks themselves has to look
// at `erasure` messages and do the same on its side.

import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { setTimeout } from "node:timers/promises";

import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";

import { connect, run } from "./connection.js";
import { ClickStats } from "./gen/smartlinks/v1/click_stats_pb.js";
import { TrafficClass } from "./gen/smartlinks/v1/condition_pb.js";
import { ResolveReason } from "./gen/smartlinks/v1/link_resolver_pb.js";

const [store, option] = process.argv.slice(2);
if (!store) {
  console.error("usage: node dist/analytics-job.js counts.json [--follow]");
  process.exit(1);
}

interface Have {
  token: string;
  counts: Record<string, number>;
}

function load(file: string): Have {
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : { token: "", counts: {} };
}

/** Counts and token become the new ones together, or not at all. */
function save(file: string, have: Have) {
  const made = openSync(`${file}.new`, "w");
  writeSync(made, JSON.stringify(have));
  fsyncSync(made);
  closeSync(made);
  renameSync(`${file}.new`, file);
}

/** Goes on where the stored token stands. */
async function count(stats: Client<typeof ClickStats>, file: string, have: Have) {
  const stream = stats.streamClicks({
    start: { case: "afterToken", value: have.token },
    filter: {
      shop: "sample",
      trafficClasses: [TrafficClass.HUMAN],
      reasons: [ResolveReason.RULE, ResolveReason.DEFAULT],
    },
    follow: option === "--follow",
  });
  for await (const message of stream) {
    const clicks = message.event.case === "clicks" ? message.event.value.clicks : [];
    for (const click of clicks) {
      const name = `${click.slug} ${click.partner || "-"}`;
      have.counts[name] = (have.counts[name] ?? 0) + 1;
    }
    // Also of a heartbeat: what the filter left out is behind it.
    have.token = message.token;
    save(file, have);
  }
}

await run(async () => {
  const stats = createClient(ClickStats, connect());
  for (;;) {
    // What was not saved is forgotten, and comes again.
    const have = load(store);
    try {
      await count(stats, store, have);
      for (const [name, clicks] of Object.entries(have.counts).sort()) {
        const [slug = "", partner = ""] = name.split(" ");
        console.log(`${slug.padEnd(15)} ${partner.padEnd(6)} ${clicks}`);
      }
      return;
    } catch (error) {
      // An hour has passed, a server has stopped, the database was away: go on.
      if (!(error instanceof ConnectError) || error.code !== Code.Unavailable) throw error;
      console.error(`resuming: ${error.rawMessage}`);
      await setTimeout(1_000);
    }
  }
});
