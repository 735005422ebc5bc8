-- What is counted of the log. One process at a time follows the ledger and adds to these tables; they outlive the rows
-- that they count. Where a text is no name, it is '' (there was none) or '?' (unknown); a name is neither.

CREATE TABLE clicks.roller (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    position bigint NOT NULL DEFAULT 0 CHECK (position >= 0),
    at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 10);
COMMENT ON TABLE clicks.roller IS 'One row, which whoever counts holds locked: so there is one at a time, and none that died is waited for.';
COMMENT ON COLUMN clicks.roller.one IS 'Keeps it at one row.';
COMMENT ON COLUMN clicks.roller.position IS 'The last entry of the ledger that is counted.';
COMMENT ON COLUMN clicks.roller.at IS 'When that was.';
INSERT INTO clicks.roller DEFAULT VALUES;

CREATE TABLE clicks.rolled (
    source uuid PRIMARY KEY,
    sequence bigint NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE clicks.rolled IS 'How far each local log is counted; changes in one transaction with the counters, so that the clicks behind it can be added to them.';
COMMENT ON COLUMN clicks.rolled.source IS 'The local log.';
COMMENT ON COLUMN clicks.rolled.sequence IS 'The number of its last click that is counted.';

CREATE TABLE clicks.counter_link (
    shop text COLLATE "C",
    slug text COLLATE "C",
    clicks bigint NOT NULL,
    PRIMARY KEY (shop, slug)
) WITH (fillfactor = 70);
COMMENT ON TABLE clicks.counter_link IS 'Human clicks of each link that a rule or the default destination answered, since ever.';
COMMENT ON COLUMN clicks.counter_link.shop IS 'The shop.';
COMMENT ON COLUMN clicks.counter_link.slug IS 'The link.';
COMMENT ON COLUMN clicks.counter_link.clicks IS 'How many.';

CREATE TABLE clicks.counter_partner (
    shop text COLLATE "C",
    partner text COLLATE "C",
    clicks bigint NOT NULL,
    PRIMARY KEY (shop, partner)
) WITH (fillfactor = 70);
COMMENT ON TABLE clicks.counter_partner IS 'Human clicks credited to each partner that a rule or the default destination answered, since ever.';
COMMENT ON COLUMN clicks.counter_partner.shop IS 'The shop.';
COMMENT ON COLUMN clicks.counter_partner.partner IS 'The partner.';
COMMENT ON COLUMN clicks.counter_partner.clicks IS 'How many.';

CREATE TABLE clicks.stats_shop_quarter (
    shop text COLLATE "C",
    at timestamptz,
    traffic text COLLATE "C",
    reason text COLLATE "C",
    clicks bigint NOT NULL,
    PRIMARY KEY (shop, at, traffic, reason)
) WITH (fillfactor = 70);
COMMENT ON TABLE clicks.stats_shop_quarter IS 'Clicks of each shop in each quarter of an hour: time zones differ by whole quarters.';
COMMENT ON COLUMN clicks.stats_shop_quarter.shop IS 'The shop.';
COMMENT ON COLUMN clicks.stats_shop_quarter.at IS 'The beginning of the quarter of an hour.';
COMMENT ON COLUMN clicks.stats_shop_quarter.traffic IS 'The class of traffic.';
COMMENT ON COLUMN clicks.stats_shop_quarter.reason IS 'Why the visitors went where they went.';
COMMENT ON COLUMN clicks.stats_shop_quarter.clicks IS 'How many.';

CREATE TABLE clicks.stats_link_day (
    shop text COLLATE "C",
    day date,
    slug text COLLATE "C",
    traffic text COLLATE "C",
    reason text COLLATE "C",
    clicks bigint NOT NULL,
    PRIMARY KEY (shop, day, slug, traffic, reason)
) WITH (fillfactor = 70);
COMMENT ON TABLE clicks.stats_link_day IS 'Clicks of each link on each UTC day.';
COMMENT ON COLUMN clicks.stats_link_day.shop IS 'The shop.';
COMMENT ON COLUMN clicks.stats_link_day.day IS 'The UTC day.';
COMMENT ON COLUMN clicks.stats_link_day.slug IS 'The link; empty if there could be no such link.';
COMMENT ON COLUMN clicks.stats_link_day.traffic IS 'The class of traffic.';
COMMENT ON COLUMN clicks.stats_link_day.reason IS 'Why the visitors went where they went.';
COMMENT ON COLUMN clicks.stats_link_day.clicks IS 'How many.';

CREATE TABLE clicks.stats_partner_day (
    shop text COLLATE "C",
    day date,
    partner text COLLATE "C",
    traffic text COLLATE "C",
    reason text COLLATE "C",
    clicks bigint NOT NULL,
    PRIMARY KEY (shop, day, partner, traffic, reason)
) WITH (fillfactor = 70);
COMMENT ON TABLE clicks.stats_partner_day IS 'Clicks of each partner on each UTC day.';
COMMENT ON COLUMN clicks.stats_partner_day.shop IS 'The shop.';
COMMENT ON COLUMN clicks.stats_partner_day.day IS 'The UTC day.';
COMMENT ON COLUMN clicks.stats_partner_day.partner IS 'The credited partner; empty if nobody is.';
COMMENT ON COLUMN clicks.stats_partner_day.traffic IS 'The class of traffic.';
COMMENT ON COLUMN clicks.stats_partner_day.reason IS 'Why the visitors went where they went.';
COMMENT ON COLUMN clicks.stats_partner_day.clicks IS 'How many.';

-- The partner comes first: portals ask for the links of a partner.
CREATE TABLE clicks.stats_link_partner_day (
    shop text COLLATE "C",
    day date,
    partner text COLLATE "C",
    slug text COLLATE "C",
    traffic text COLLATE "C",
    reason text COLLATE "C",
    clicks bigint NOT NULL,
    PRIMARY KEY (shop, day, partner, slug, traffic, reason)
) WITH (fillfactor = 70);
COMMENT ON TABLE clicks.stats_link_partner_day IS 'Clicks of each link that each partner brought on each UTC day.';
COMMENT ON COLUMN clicks.stats_link_partner_day.shop IS 'The shop.';
COMMENT ON COLUMN clicks.stats_link_partner_day.day IS 'The UTC day.';
COMMENT ON COLUMN clicks.stats_link_partner_day.partner IS 'The credited partner; empty if nobody is.';
COMMENT ON COLUMN clicks.stats_link_partner_day.slug IS 'The link; empty if there could be no such link.';
COMMENT ON COLUMN clicks.stats_link_partner_day.traffic IS 'The class of traffic.';
COMMENT ON COLUMN clicks.stats_link_partner_day.reason IS 'Why the visitors went where they went.';
COMMENT ON COLUMN clicks.stats_link_partner_day.clicks IS 'How many.';

CREATE TABLE clicks.stats_dim_day (
    shop text COLLATE "C",
    dimension text COLLATE "C",
    day date,
    value text COLLATE "C",
    traffic text COLLATE "C",
    reason text COLLATE "C",
    clicks bigint NOT NULL,
    PRIMARY KEY (shop, dimension, day, value, traffic, reason)
) WITH (fillfactor = 70);
COMMENT ON TABLE clicks.stats_dim_day IS 'Clicks of each shop on each UTC day by what else is known of them, one dimension at a time.';
COMMENT ON COLUMN clicks.stats_dim_day.shop IS 'The shop.';
COMMENT ON COLUMN clicks.stats_dim_day.dimension IS 'By what: program, rule, country, device, os, browser, language, referrer, channel.';
COMMENT ON COLUMN clicks.stats_dim_day.day IS 'The UTC day.';
COMMENT ON COLUMN clicks.stats_dim_day.value IS 'The value; of a rule its link and its id with a / between. Empty = none, ? = unknown.';
COMMENT ON COLUMN clicks.stats_dim_day.traffic IS 'The class of traffic.';
COMMENT ON COLUMN clicks.stats_dim_day.reason IS 'Why the visitors went where they went.';
COMMENT ON COLUMN clicks.stats_dim_day.clicks IS 'How many.';

CREATE TABLE clicks.visitor_day (
    day date,
    shop text COLLATE "C",
    visitor bytea,
    slug text COLLATE "C",
    partner text COLLATE "C",
    PRIMARY KEY (day, shop, visitor, slug, partner)
);
COMMENT ON TABLE clicks.visitor_day IS 'Who was there, from human clicks that a rule or the default destination answered: tells new visitors of a day from those that are counted. Days that take no more clicks are removed.';
COMMENT ON COLUMN clicks.visitor_day.day IS 'The UTC day.';
COMMENT ON COLUMN clicks.visitor_day.shop IS 'The shop.';
COMMENT ON COLUMN clicks.visitor_day.visitor IS 'The visitor.';
COMMENT ON COLUMN clicks.visitor_day.slug IS 'The link; empty if there could be no such link.';
COMMENT ON COLUMN clicks.visitor_day.partner IS 'The credited partner; empty if nobody is.';

CREATE TABLE clicks.stats_visitors_day (
    shop text COLLATE "C",
    scope text COLLATE "C" CHECK (scope IN ('shop', 'link', 'partner', 'link_partner')),
    day date,
    partner text COLLATE "C",
    slug text COLLATE "C",
    visitors bigint NOT NULL,
    PRIMARY KEY (shop, scope, day, partner, slug)
) WITH (fillfactor = 70);
COMMENT ON TABLE clicks.stats_visitors_day IS 'Visitors of human clicks that a rule or the default destination answered, each once on each UTC day.';
COMMENT ON COLUMN clicks.stats_visitors_day.shop IS 'The shop.';
COMMENT ON COLUMN clicks.stats_visitors_day.scope IS 'Whose visitors: of the shop, of a link, of a partner, of a link by a partner.';
COMMENT ON COLUMN clicks.stats_visitors_day.day IS 'The UTC day.';
COMMENT ON COLUMN clicks.stats_visitors_day.partner IS 'The credited partner; empty if nobody is, or if the scope does not tell partners apart.';
COMMENT ON COLUMN clicks.stats_visitors_day.slug IS 'The link; empty if there could be no such link, or if the scope does not tell links apart.';
COMMENT ON COLUMN clicks.stats_visitors_day.visitors IS 'How many.';
