DROP TABLE clicks.conversion, clicks.conversion_waiting, clicks.stats_conversion_day, clicks.reroll;
ALTER TABLE clicks.ledger DROP COLUMN removed_conversions;
DELETE FROM clicks.rejected WHERE source IS NULL;
ALTER TABLE clicks.rejected ALTER COLUMN source SET NOT NULL;
