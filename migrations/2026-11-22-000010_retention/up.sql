-- Shops may keep clicks for a shorter time than the installation; what is erased is found wherever it is.

CREATE TABLE clicks.retention (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    days integer NOT NULL CHECK (days > 0),
    forgotten bigint NOT NULL DEFAULT 0,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE clicks.retention IS 'One row, or none before the first look: for how long clicks are kept, as the server has it that looked last.';
COMMENT ON COLUMN clicks.retention.one IS 'Keeps it at one row.';
COMMENT ON COLUMN clicks.retention.days IS 'For how many days.';
COMMENT ON COLUMN clicks.retention.forgotten IS 'The last entry of the ledger that was searched for erased visitors whose key is to be forgotten.';
COMMENT ON COLUMN clicks.retention.at IS 'When that server looked.';

CREATE TABLE clicks.shop_expiry (
    shop text COLLATE "C" PRIMARY KEY,
    gone_before date NOT NULL,
    done_before date NOT NULL CHECK (done_before <= gone_before),
    position bigint NOT NULL
);
COMMENT ON TABLE clicks.shop_expiry IS 'How far the clicks of shops are removed that keep them for a shorter time than the installation.';
COMMENT ON COLUMN clicks.shop_expiry.shop IS 'The shop.';
COMMENT ON COLUMN clicks.shop_expiry.gone_before IS 'Clicks of days before this one may be gone: nothing is counted from them any more. Written before the first of them goes.';
COMMENT ON COLUMN clicks.shop_expiry.done_before IS 'Clicks of days before this one are gone, but for those that came late.';
COMMENT ON COLUMN clicks.shop_expiry.position IS 'The last entry of the ledger that was searched for clicks that came late.';

COMMENT ON COLUMN shop.settings IS 'What the shop decides about its clicks; written and read by the program, and queries look at click_retention_days only.';
COMMENT ON COLUMN clicks.ledger.min_at IS 'The time of the earliest row that was added; of what was removed, if it is known.';
COMMENT ON COLUMN clicks.ledger.scope IS 'What was removed: of an erasure shop, and day, partner or visitor (all zeros = forgotten meanwhile); of an expiry the day, and the shop if it is that of one shop.';

-- An erasure finds what was put aside; of what is older than these columns, and of what could not be read, nobody knows whose it is.
ALTER TABLE clicks.rejected ADD COLUMN shop text COLLATE "C", ADD COLUMN click_at timestamptz,
    ADD COLUMN partner text COLLATE "C", ADD COLUMN visitor bytea;
CREATE INDEX rejected_shop ON clicks.rejected (shop) WHERE shop IS NOT NULL;
UPDATE clicks.rejected SET shop = convert_from(content, 'UTF8')::jsonb ->> 'shop',
    click_at = (convert_from(content, 'UTF8')::jsonb ->> 'click_at')::timestamptz
    WHERE source IS NULL;
COMMENT ON COLUMN clicks.rejected.shop IS 'The shop; null = it is not known, or what was put aside was erased.';
COMMENT ON COLUMN clicks.rejected.click_at IS 'The time of the click.';
COMMENT ON COLUMN clicks.rejected.partner IS 'The credited partner of the click.';
COMMENT ON COLUMN clicks.rejected.visitor IS 'The visitor of the click.';
COMMENT ON COLUMN clicks.rejected.content IS 'The click as it was in the local log, or the conversion as JSON; empty = it was erased.';

-- Conversions outlive clicks, and have to be found when a visitor is erased.
ALTER TABLE clicks.conversion ADD COLUMN visitor bytea;
CREATE INDEX conversion_visitor ON clicks.conversion (shop, visitor) WHERE visitor IS NOT NULL;
UPDATE clicks.conversion SET visitor = click.visitor FROM clicks.click
    WHERE click.id = conversion.click_id AND click.shop = conversion.shop AND click.at = conversion.click_at;
COMMENT ON COLUMN clicks.conversion.visitor IS 'The visitor of the click, by which an erasure finds it; null = none, or it was erased.';
