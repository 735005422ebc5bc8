// An internal service asks where visitors should go.

import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";

import { connect, details, run } from "./connection.js";
import {
  LinkResolver,
  Purpose,
  ResolveReason,
  type ResolveRequestSchema,
} from "./gen/smartlinks/v1/link_resolver_pb.js";

const iPhone =
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) " +
  "Version/18.5 Mobile/15E148 Safari/604.1";

await run(async () => {
  const resolver = createClient(LinkResolver, connect());

  async function resolve(visit: MessageInitShape<typeof ResolveRequestSchema>) {
    const answer = await resolver.resolve(visit, { timeoutMs: 2_000 });
    console.log(`${Purpose[visit.purpose ?? 0]} of ${answer.slug}, revision ${answer.revision}`);
    console.log(`  reason    ${ResolveReason[answer.reason]} ${answer.ruleId}`);
    console.log(`  partner   ${answer.partner || "nobody"}`);
    console.log(`  location  ${answer.location}`);
  }

  // Where would Ben's link lead this customer of ours? Nobody clicks, so nothing is counted.
  await resolve({
    purpose: Purpose.LOOKUP,
    site: { case: "shop", value: "sample" },
    slug: "insiders",
    partner: "ben",
    attributes: { "customer.orders": "12" },
  });

  // A visitor clicked Anna's link: what is known of the request is passed on, raw.
  await resolve({
    purpose: Purpose.CLICK,
    site: { case: "shop", value: "sample" },
    slug: "summer-sale",
    partner: "anna",
    query: "q=sun%20hat",
    clientAddress: "193.99.144.80",
    headers: { userAgent: iPhone, acceptLanguage: "de-DE,de;q=0.9" },
  });

  // There may be nowhere to go. The reason says why; other errors are not for this place.
  try {
    const site = { case: "shop", value: "elsewhere" } as const;
    await resolve({ purpose: Purpose.LOOKUP, site, slug: "summer-sale" });
  } catch (error) {
    if (!(error instanceof ConnectError) || error.code !== Code.NotFound) throw error;
    console.log(`NotFound ${details(error).reason}: ${error.rawMessage}`);
  }
});
