DELETE FROM clicks.stats_dim_day WHERE dimension = 'variant';
COMMENT ON COLUMN clicks.stats_dim_day.dimension IS 'By what: program, rule, country, device, os, browser, language, referrer, channel.';
COMMENT ON COLUMN clicks.stats_dim_day.value IS 'The value; of a rule its link and its id with a / between. Empty = none, ? = unknown.';
ALTER TABLE clicks.conversion DROP COLUMN variant;
ALTER TABLE clicks.click DROP COLUMN variant;
