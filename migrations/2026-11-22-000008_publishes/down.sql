ALTER TABLE history DROP COLUMN publish;
DROP TABLE publish_name;
DROP TABLE publish_link;
DROP TABLE publish;
