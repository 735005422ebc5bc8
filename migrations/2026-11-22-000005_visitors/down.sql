DROP TABLE visitor_key;
