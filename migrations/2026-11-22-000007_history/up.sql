-- Why something was written. What was written before says nothing.

ALTER TABLE history ADD COLUMN comment text NOT NULL DEFAULT '';
COMMENT ON COLUMN history.comment IS 'Why, in the words of whoever asked for it.';
