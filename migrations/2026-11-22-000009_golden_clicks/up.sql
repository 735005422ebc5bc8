-- Visits that writes of a link try out.

ALTER TABLE link ADD COLUMN golden_clicks jsonb NOT NULL DEFAULT '[]';
COMMENT ON COLUMN link.golden_clicks IS 'Visits that are made up, and where each has to go; written and read by the program alone, no click looks at them.';
