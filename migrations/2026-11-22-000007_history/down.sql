ALTER TABLE history DROP COLUMN comment;
