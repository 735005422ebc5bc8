// An admin back end makes a link for one partner, edits it, and lists what the partner sees.

import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";

import { connect, details, run } from "./connection.js";
import { LinkAdmin } from "./gen/smartlinks/v1/link_admin_pb.js";
import type { LinkSchema } from "./gen/smartlinks/v1/link_pb.js";
import { LinkResolver, Purpose } from "./gen/smartlinks/v1/link_resolver_pb.js";

const shop = "sample";
// A slug is never used twice, so every run makes another one unless it is told which.
const slug = process.argv[2] ?? `boots-${Date.now()}`;

/** Makes the rule that sends visitors from these countries to a page of their own. */
function britain(destination: string, codes: string[]) {
  return {
    id: "britain",
    when: { kind: { case: "country", value: { codes } } },
    then: { case: "destination", value: destination },
  } as const;
}

await run(async () => {
  const transport = connect();
  const admin = createClient(LinkAdmin, transport);
  const resolver = createClient(LinkResolver, transport);
  const call = { timeoutMs: 10_000 };

  const link: MessageInitShape<typeof LinkSchema> = {
    shop,
    slug,
    displayName: "Boots",
    sharing: { with: { case: "selected", value: { partners: ["ben"] } } },
    defaultDestination: "boots",
    utm: { source: "{partner}", campaign: "boots" },
  };

  // Everything wrong is told at once, each fault with the path of its field: for the form that asked for it.
  try {
    await admin.createLink({ link: { ...link, rules: [britain("//uk/boots", ["UK"])] } }, call);
  } catch (error) {
    if (!(error instanceof ConnectError) || error.code !== Code.InvalidArgument) throw error;
    const { reason, faults } = details(error);
    console.log(`InvalidArgument ${reason}`);
    for (const fault of faults) console.log(`  ${fault.field}: ${fault.description}`);
  }

  const created = await admin.createLink({ link: { ...link, rules: [britain("uk/boots", ["GB"])] } }, call);
  console.log(`created ${slug} under revision ${created.revision}`);

  // A colleague writes a description in the meantime, without knowing of us.
  await admin.updateLink({ link: { shop, slug, description: "Every colour." } }, call);

  // With the etag that was read, nothing that came in between is overwritten unseen.
  let held = created.link;
  let updated;
  while (!updated) {
    const link = { shop, slug, etag: held?.etag ?? "", defaultDestination: "boots/new" };
    try {
      updated = await admin.updateLink({ link, updateMask: { paths: ["default_destination"] } }, call);
    } catch (error) {
      if (!(error instanceof ConnectError) || error.code !== Code.Aborted) throw error;
      console.log(`Aborted ${details(error).reason}: read again`);
      held = (await admin.getLink({ shop, slug }, call)).link;
    }
  }
  console.log(`edited under revision ${updated.revision}, described as "${updated.link?.description}"`);

  // `minRevision`: the answer knows of the edit, whichever server gives it.
  const site = { case: "shop", value: shop } as const;
  const visit = { purpose: Purpose.LOOKUP, site, slug, partner: "ben", minRevision: updated.revision };
  const answer = await resolver.resolve(visit, { timeoutMs: 2_000 });
  console.log(`leads to ${answer.location}`);

  // What Ben's portal shows, page by page.
  let pageToken = "";
  do {
    const page = await admin.listPartnerLinks({ shop, partner: "ben", pageSize: 5, pageToken }, call);
    for (const shown of page.links) console.log(`  ${shown.displayName.padEnd(20)} ${shown.url}`);
    pageToken = page.nextPageToken;
  } while (pageToken);
});
