-- What is put aside is emptied when it is older than the retention of clicks.
CREATE INDEX rejected_kept ON clicks.rejected (at) WHERE content <> '';
COMMENT ON INDEX clicks.rejected_kept IS 'What is put aside and not emptied, oldest first.';
COMMENT ON COLUMN clicks.rejected.content IS 'The click as it was in the local log, or the conversion as JSON without its click and properties; empty = it was erased, or is older than the retention.';
COMMENT ON COLUMN clicks.rejected.shop IS 'The shop; null = it is not known, or what was put aside was emptied.';

-- A conversion whose click did not come may be that of a visitor who was erased.
UPDATE clicks.rejected SET content = convert_to((convert_from(content, 'UTF8')::jsonb - 'properties' - 'click_id')::text, 'UTF8')
    WHERE source IS NULL AND content <> '';

-- The middle of the day is of the same day in nearly every time zone, its beginning is not.
UPDATE clicks.conversion SET click_at = click_at + interval '12 hours'
    WHERE click_id IS NULL AND click_at = date_trunc('day', click_at, 'UTC');
COMMENT ON COLUMN clicks.head.timeline IS 'The timeline that the epoch belongs to, of the file that the log of PostgreSQL is written to.';
COMMENT ON COLUMN clicks.conversion.click_at IS 'When the click was; of an erased one the middle of its UTC day.';

-- Conversions that wait are looked through piece by piece, the longest first.
CREATE INDEX conversion_waiting_since ON clicks.conversion_waiting (since, shop, order_id) WHERE refund_id = '';
COMMENT ON INDEX clicks.conversion_waiting_since IS 'Orders that wait, the longest first.';

-- Last, because clicks that come in wait for it until all of this is done.
-- What came for a day that was removed is not all that the day had: such days are looked up wherever single clicks are
-- taken for all of them.
CREATE INDEX ledger_expired_day ON clicks.ledger ((scope ->> 'day')) WHERE kind = 'expiry' AND NOT scope ? 'shop';
COMMENT ON INDEX clicks.ledger_expired_day IS 'The days that were removed as a whole.';
