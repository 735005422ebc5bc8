-- Orders and refunds that clicks brought about, and what erasing clicks needs.

CREATE TABLE clicks.conversion (
    shop text COLLATE "C" NOT NULL,
    order_id text COLLATE "C" NOT NULL,
    refund_id text COLLATE "C" NOT NULL,
    batch bigint NOT NULL,
    sequence bigint NOT NULL,
    at timestamptz NOT NULL,
    amount bigint NOT NULL CHECK (amount >= 0),
    currency text COLLATE "C" NOT NULL,
    properties jsonb,
    click_id uuid,
    click_at timestamptz NOT NULL,
    slug text COLLATE "C",
    revision bigint NOT NULL,
    channel text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    rule text COLLATE "C",
    destination text COLLATE "C" NOT NULL,
    partner text COLLATE "C",
    program text COLLATE "C",
    attribution text COLLATE "C" NOT NULL,
    traffic text COLLATE "C" NOT NULL,
    country text COLLATE "C",
    device text COLLATE "C",
    os text COLLATE "C",
    browser text COLLATE "C",
    language text COLLATE "C",
    referrer text COLLATE "C",
    sub_ids text[],
    PRIMARY KEY (shop, order_id, refund_id)
);
CREATE INDEX conversion_batch ON clicks.conversion (batch);
CREATE INDEX conversion_at ON clicks.conversion (shop, at);
CREATE INDEX conversion_click_at ON clicks.conversion (shop, click_at);
CREATE INDEX conversion_click ON clicks.conversion (click_id) WHERE click_id IS NOT NULL;
CREATE INDEX conversion_partner ON clicks.conversion (shop, partner);
COMMENT ON TABLE clicks.conversion IS 'Orders that clicks brought about, and what was paid back of them. They hold what they need of the click, so they outlive it.';
COMMENT ON COLUMN clicks.conversion.shop IS 'The shop.';
COMMENT ON COLUMN clicks.conversion.order_id IS 'The order, by the shop''s own number.';
COMMENT ON COLUMN clicks.conversion.refund_id IS 'The refund, by the shop''s own number; empty = the order itself.';
COMMENT ON COLUMN clicks.conversion.batch IS 'The entry of the ledger that brought it.';
COMMENT ON COLUMN clicks.conversion.sequence IS 'Its number in that entry, from 1.';
COMMENT ON COLUMN clicks.conversion.at IS 'When the order was made or paid back.';
COMMENT ON COLUMN clicks.conversion.amount IS 'What was paid, or paid back, in the smallest unit of the currency.';
COMMENT ON COLUMN clicks.conversion.currency IS 'The currency, ISO 4217.';
COMMENT ON COLUMN clicks.conversion.properties IS 'What else the shop says of it: values by name; removed by an erasure.';
COMMENT ON COLUMN clicks.conversion.click_id IS 'The click; null = it was erased, and with it all that tells one visitor from another.';
COMMENT ON COLUMN clicks.conversion.click_at IS 'When the click was; of an erased one the beginning of its UTC day.';
COMMENT ON COLUMN clicks.conversion.slug IS 'The link, of the click.';
COMMENT ON COLUMN clicks.conversion.revision IS 'The revision of the index that decided the click.';
COMMENT ON COLUMN clicks.conversion.channel IS 'How the visitor came.';
COMMENT ON COLUMN clicks.conversion.reason IS 'Why the visitor went where it went.';
COMMENT ON COLUMN clicks.conversion.rule IS 'The rule that decided the click.';
COMMENT ON COLUMN clicks.conversion.destination IS 'The destination that was chosen.';
COMMENT ON COLUMN clicks.conversion.partner IS 'The credited partner; null = nobody, or it was erased.';
COMMENT ON COLUMN clicks.conversion.program IS 'The program that the partner was in at the click.';
COMMENT ON COLUMN clicks.conversion.attribution IS 'Who is credited, or why nobody is.';
COMMENT ON COLUMN clicks.conversion.traffic IS 'The class of traffic of the click.';
COMMENT ON COLUMN clicks.conversion.country IS 'The country of the click; null = unknown or erased.';
COMMENT ON COLUMN clicks.conversion.device IS 'The kind of device; null = unknown or erased.';
COMMENT ON COLUMN clicks.conversion.os IS 'The operating system; null = unknown or erased.';
COMMENT ON COLUMN clicks.conversion.browser IS 'The browser or app; null = unknown or erased.';
COMMENT ON COLUMN clicks.conversion.language IS 'The language; null = unknown or erased.';
COMMENT ON COLUMN clicks.conversion.referrer IS 'The host of the referring page; empty = there was none, null = unknown or erased.';
COMMENT ON COLUMN clicks.conversion.sub_ids IS 'The query parameters that the shop keeps: name and value in turn; removed by an erasure.';

CREATE TABLE clicks.conversion_waiting (
    shop text COLLATE "C" NOT NULL,
    order_id text COLLATE "C" NOT NULL,
    refund_id text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    amount bigint NOT NULL CHECK (amount >= 0),
    currency text COLLATE "C" NOT NULL,
    properties jsonb,
    click_id uuid NOT NULL,
    click_at timestamptz NOT NULL,
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (shop, order_id, refund_id)
);
COMMENT ON TABLE clicks.conversion_waiting IS 'Conversions whose click is still on its way from the server that answered it.';
COMMENT ON COLUMN clicks.conversion_waiting.shop IS 'The shop.';
COMMENT ON COLUMN clicks.conversion_waiting.order_id IS 'The order, by the shop''s own number.';
COMMENT ON COLUMN clicks.conversion_waiting.refund_id IS 'The refund, by the shop''s own number; empty = the order itself.';
COMMENT ON COLUMN clicks.conversion_waiting.at IS 'When the order was made or paid back.';
COMMENT ON COLUMN clicks.conversion_waiting.amount IS 'What was paid, or paid back, in the smallest unit of the currency.';
COMMENT ON COLUMN clicks.conversion_waiting.currency IS 'The currency, ISO 4217.';
COMMENT ON COLUMN clicks.conversion_waiting.properties IS 'What else the shop says of it: values by name.';
COMMENT ON COLUMN clicks.conversion_waiting.click_id IS 'The click that it waits for.';
COMMENT ON COLUMN clicks.conversion_waiting.click_at IS 'The time in the click id.';
COMMENT ON COLUMN clicks.conversion_waiting.since IS 'When it was recorded.';

-- Written by whoever writes conversions, who holds a lock on those of the shop: they are few beside clicks.
CREATE TABLE clicks.stats_conversion_day (
    shop text COLLATE "C",
    told_by text COLLATE "C" CHECK (told_by IN ('conversion', 'click')),
    day date,
    partner text COLLATE "C",
    slug text COLLATE "C",
    traffic text COLLATE "C",
    reason text COLLATE "C",
    currency text COLLATE "C",
    conversions bigint NOT NULL,
    amount numeric NOT NULL,
    PRIMARY KEY (shop, told_by, day, partner, slug, traffic, reason, currency)
) WITH (fillfactor = 70);
COMMENT ON TABLE clicks.stats_conversion_day IS 'Orders and what they brought, less refunds, on each UTC day.';
COMMENT ON COLUMN clicks.stats_conversion_day.shop IS 'The shop.';
COMMENT ON COLUMN clicks.stats_conversion_day.told_by IS 'Whose day it is: of the order or refund, or of the click.';
COMMENT ON COLUMN clicks.stats_conversion_day.day IS 'The UTC day.';
COMMENT ON COLUMN clicks.stats_conversion_day.partner IS 'The credited partner; empty if nobody is.';
COMMENT ON COLUMN clicks.stats_conversion_day.slug IS 'The link; empty if there could be no such link.';
COMMENT ON COLUMN clicks.stats_conversion_day.traffic IS 'The class of traffic of the click.';
COMMENT ON COLUMN clicks.stats_conversion_day.reason IS 'Why the visitor went where it went.';
COMMENT ON COLUMN clicks.stats_conversion_day.currency IS 'The currency, ISO 4217.';
COMMENT ON COLUMN clicks.stats_conversion_day.conversions IS 'How many orders.';
COMMENT ON COLUMN clicks.stats_conversion_day.amount IS 'What was paid less what was paid back, in the smallest unit of the currency.';

CREATE TABLE clicks.reroll (
    shop text COLLATE "C",
    day date,
    PRIMARY KEY (shop, day)
);
COMMENT ON TABLE clicks.reroll IS 'Days that have to be counted anew because clicks of them were erased; written with the erasure, so that no crash forgets one.';
COMMENT ON COLUMN clicks.reroll.shop IS 'The shop.';
COMMENT ON COLUMN clicks.reroll.day IS 'The UTC day.';

ALTER TABLE clicks.ledger ADD COLUMN removed_conversions bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN clicks.ledger.removed_conversions IS 'How many conversions an erasure removed; those that it only made nameless are not among them.';

-- Conversions come from no local log.
ALTER TABLE clicks.rejected ALTER COLUMN source DROP NOT NULL;
COMMENT ON TABLE clicks.rejected IS 'Clicks that could not be added, and conversions whose click never came: nothing is thrown away, and nothing waits for them.';
COMMENT ON COLUMN clicks.rejected.source IS 'The local log that it came from; null = a conversion.';
COMMENT ON COLUMN clicks.rejected.sequence IS 'Its number there, or in the entry.';
COMMENT ON COLUMN clicks.rejected.content IS 'The click as it was in the local log, or the conversion as JSON.';
