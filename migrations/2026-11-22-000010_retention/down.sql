ALTER TABLE clicks.conversion DROP COLUMN visitor;
ALTER TABLE clicks.rejected DROP COLUMN shop, DROP COLUMN click_at, DROP COLUMN partner, DROP COLUMN visitor;
DROP TABLE clicks.shop_expiry, clicks.retention;
