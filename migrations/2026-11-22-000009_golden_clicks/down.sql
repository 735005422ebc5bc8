ALTER TABLE link DROP COLUMN golden_clicks;
