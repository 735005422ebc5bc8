-- Whoever counts is alone and asks first who is known, so nothing has to be kept from coming twice; visitors are found by
-- their hash, and the days of a shop by an index that grows at its end: one index of everything cost a third of counting.
CREATE INDEX visitor_day_visitor ON clicks.visitor_day USING hash (visitor);
CREATE INDEX visitor_day_day ON clicks.visitor_day (day, shop);
ALTER TABLE clicks.visitor_day DROP CONSTRAINT visitor_day_pkey;
