-- Which variant a visitor got. Adding a column without a value to a partitioned table touches no row; it stands last there.

ALTER TABLE clicks.click ADD COLUMN variant text COLLATE "C";
COMMENT ON COLUMN clicks.click.variant IS 'The variant of the rule that the visitor got; null = the rule has none, or there was no rule.';

ALTER TABLE clicks.conversion ADD COLUMN variant text COLLATE "C";
COMMENT ON COLUMN clicks.conversion.variant IS 'The variant of the rule that the visitor of the click got; null = none.';

COMMENT ON COLUMN clicks.stats_dim_day.dimension IS 'By what: program, rule, variant, country, device, os, browser, language, referrer, channel.';
COMMENT ON COLUMN clicks.stats_dim_day.value IS 'The value; of a rule its link and its id with a / between, of a variant its id behind those of its rule. Empty = none, ? = unknown.';

-- Clicks that are counted already have no variant: so values add up to all clicks of those days too.
INSERT INTO clicks.stats_dim_day (shop, dimension, day, value, traffic, reason, clicks)
    SELECT shop, 'variant', day, '', traffic, reason, sum(clicks) FROM clicks.stats_dim_day
    WHERE dimension = 'channel' GROUP BY shop, day, traffic, reason;
