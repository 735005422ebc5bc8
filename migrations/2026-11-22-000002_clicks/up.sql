-- The log of clicks has a schema of its own: its partitions come and go, and who may only read figures may read this.
CREATE SCHEMA clicks;
COMMENT ON SCHEMA clicks IS 'The log of clicks, its ledger, and what is counted of it.';

CREATE TABLE clicks.head (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    epoch uuid NOT NULL DEFAULT gen_random_uuid(),
    system_identifier bigint NOT NULL,
    timeline integer NOT NULL,
    position bigint NOT NULL DEFAULT 0 CHECK (position >= 0)
) WITH (fillfactor = 10);
COMMENT ON TABLE clicks.head IS 'One row. Every transaction that changes the log ends by taking the next position from it, so positions commit in order and without gaps.';
COMMENT ON COLUMN clicks.head.one IS 'Keeps it at one row.';
COMMENT ON COLUMN clicks.head.epoch IS 'Changes when positions may have been taken back: after a restore or a failover that lost commits.';
COMMENT ON COLUMN clicks.head.system_identifier IS 'The cluster that the epoch belongs to, pg_control_system().';
COMMENT ON COLUMN clicks.head.timeline IS 'The timeline that the epoch belongs to, pg_control_checkpoint().';
COMMENT ON COLUMN clicks.head.position IS 'The position of the last entry of the ledger.';
INSERT INTO clicks.head (system_identifier, timeline)
    SELECT system_identifier, timeline_id FROM pg_control_system(), pg_control_checkpoint();

CREATE SEQUENCE clicks.batch;

CREATE TABLE clicks.ledger (
    position bigint PRIMARY KEY,
    batch bigint NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('clicks', 'conversions', 'erasure', 'expiry')),
    source uuid,
    first_sequence bigint,
    last_sequence bigint,
    delivered integer NOT NULL DEFAULT 0,
    applied integer NOT NULL DEFAULT 0,
    duplicates integer NOT NULL DEFAULT 0,
    rejected integer NOT NULL DEFAULT 0,
    lost bigint NOT NULL DEFAULT 0,
    removed bigint NOT NULL DEFAULT 0,
    min_at timestamptz,
    max_at timestamptz,
    scope jsonb,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (delivered = applied + duplicates + rejected)
);
CREATE INDEX ledger_by_batch ON clicks.ledger (batch);
CREATE INDEX ledger_by_time ON clicks.ledger USING brin (at) WITH (autosummarize = on);
COMMENT ON TABLE clicks.ledger IS 'What was done to the log, in order. Rows that are there = applied - removed, summed over all entries.';
COMMENT ON COLUMN clicks.ledger.position IS 'Where the entry stands: 1, 2, 3, without gaps.';
COMMENT ON COLUMN clicks.ledger.batch IS 'What the rows of this entry carry; drawn before they are written, so not in order.';
COMMENT ON COLUMN clicks.ledger.kind IS 'clicks and conversions add rows; erasure (someone asked) and expiry (they are too old) remove them.';
COMMENT ON COLUMN clicks.ledger.source IS 'The local log that the clicks came from.';
COMMENT ON COLUMN clicks.ledger.first_sequence IS 'The number of the first click in that log.';
COMMENT ON COLUMN clicks.ledger.last_sequence IS 'The number of the last.';
COMMENT ON COLUMN clicks.ledger.delivered IS 'How many there were to add.';
COMMENT ON COLUMN clicks.ledger.applied IS 'How many were added.';
COMMENT ON COLUMN clicks.ledger.duplicates IS 'How many were there already, by their id.';
COMMENT ON COLUMN clicks.ledger.rejected IS 'How many could not be added; they are in clicks.rejected.';
COMMENT ON COLUMN clicks.ledger.lost IS 'How many numbers before the first the local log could not read any more.';
COMMENT ON COLUMN clicks.ledger.removed IS 'How many rows an erasure or expiry removed.';
COMMENT ON COLUMN clicks.ledger.min_at IS 'The time of the earliest row that was added.';
COMMENT ON COLUMN clicks.ledger.max_at IS 'The time of the latest.';
COMMENT ON COLUMN clicks.ledger.scope IS 'What was removed: of an erasure shop, and day, partner or visitor; of an expiry the day.';
COMMENT ON COLUMN clicks.ledger.at IS 'When it was done.';

CREATE TABLE clicks.progress (
    source uuid PRIMARY KEY,
    sequence bigint NOT NULL CHECK (sequence >= 0),
    position bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);
COMMENT ON TABLE clicks.progress IS 'How far each local log is in here.';
COMMENT ON COLUMN clicks.progress.source IS 'The local log.';
COMMENT ON COLUMN clicks.progress.sequence IS 'The number of its last click that is in here, or was a duplicate, rejected or lost.';
COMMENT ON COLUMN clicks.progress.position IS 'The position of the entry that brought it there.';
COMMENT ON COLUMN clicks.progress.at IS 'When that was.';

-- Names are stored as text: the table is read by people too, and a list that grows needs no migration.
CREATE TABLE clicks.click (
    at timestamptz NOT NULL,
    batch bigint NOT NULL,
    sequence bigint NOT NULL,
    id uuid NOT NULL,
    shop text COLLATE "C" NOT NULL,
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
    traffic_why text COLLATE "C" NOT NULL,
    country text COLLATE "C",
    device text COLLATE "C",
    os text COLLATE "C",
    browser text COLLATE "C",
    language text COLLATE "C",
    referrer text COLLATE "C",
    visitor bytea,
    sub_ids text[],
    visitor_total bigint,
    link_total bigint,
    partner_total bigint
) PARTITION BY RANGE (at);
CREATE UNIQUE INDEX click_id ON clicks.click (id, shop, at);
CREATE INDEX click_batch ON clicks.click USING brin (batch) WITH (pages_per_range = 32, autosummarize = on);
COMMENT ON TABLE clicks.click IS 'One row for each click, partitioned by the UTC day of the click. There is no partition for what fits in none.';
COMMENT ON COLUMN clicks.click.at IS 'The time in the click id.';
COMMENT ON COLUMN clicks.click.batch IS 'The entry of the ledger that brought it.';
COMMENT ON COLUMN clicks.click.sequence IS 'Its number in the local log that it came from.';
COMMENT ON COLUMN clicks.click.id IS 'The click id, once in each shop.';
COMMENT ON COLUMN clicks.click.shop IS 'The shop.';
COMMENT ON COLUMN clicks.click.slug IS 'The slug that was asked for, if there could be such a link.';
COMMENT ON COLUMN clicks.click.revision IS 'The revision of the index that decided.';
COMMENT ON COLUMN clicks.click.channel IS 'How the visitor came: link, qr.';
COMMENT ON COLUMN clicks.click.reason IS 'Why the visitor went there: rule, default, expired, paused, not_started, deleted, not_found.';
COMMENT ON COLUMN clicks.click.rule IS 'The rule that decided.';
COMMENT ON COLUMN clicks.click.destination IS 'The destination or fallback that was chosen, as it is written; empty = nowhere, or the home page.';
COMMENT ON COLUMN clicks.click.partner IS 'The credited partner.';
COMMENT ON COLUMN clicks.click.program IS 'The program that the partner was in.';
COMMENT ON COLUMN clicks.click.attribution IS 'Who is credited, or why nobody is.';
COMMENT ON COLUMN clicks.click.traffic IS 'The class of traffic.';
COMMENT ON COLUMN clicks.click.traffic_why IS 'What decided on the class.';
COMMENT ON COLUMN clicks.click.country IS 'The country, ISO 3166-1; null = unknown.';
COMMENT ON COLUMN clicks.click.device IS 'The kind of device; null = unknown.';
COMMENT ON COLUMN clicks.click.os IS 'The operating system; null = unknown.';
COMMENT ON COLUMN clicks.click.browser IS 'The browser or app; null = unknown.';
COMMENT ON COLUMN clicks.click.language IS 'The first language that the browser names; null = unknown.';
COMMENT ON COLUMN clicks.click.referrer IS 'The host of the referring page; empty = there was none, null = unknown.';
COMMENT ON COLUMN clicks.click.visitor IS 'Tells one visitor of the shop from another, for as long as the key of the shop lasts.';
COMMENT ON COLUMN clicks.click.sub_ids IS 'The query parameters that the shop keeps: name and value in turn.';
COMMENT ON COLUMN clicks.click.visitor_total IS 'The visitor''s human clicks in the shop, if a rule looked.';
COMMENT ON COLUMN clicks.click.link_total IS 'The link''s human clicks, if a rule looked.';
COMMENT ON COLUMN clicks.click.partner_total IS 'The partner''s human clicks, if a rule looked.';

CREATE TABLE clicks.rejected (
    batch bigint NOT NULL,
    source uuid NOT NULL,
    sequence bigint NOT NULL,
    reason text COLLATE "C" NOT NULL,
    content bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (batch, sequence)
);
COMMENT ON TABLE clicks.rejected IS 'Clicks that could not be added: nothing is thrown away, and nothing waits for them.';
COMMENT ON COLUMN clicks.rejected.batch IS 'The entry of the ledger that brought it.';
COMMENT ON COLUMN clicks.rejected.source IS 'The local log that it came from.';
COMMENT ON COLUMN clicks.rejected.sequence IS 'Its number there.';
COMMENT ON COLUMN clicks.rejected.reason IS 'Why.';
COMMENT ON COLUMN clicks.rejected.content IS 'The click as it was in the local log.';
COMMENT ON COLUMN clicks.rejected.at IS 'When it came.';
