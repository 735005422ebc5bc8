DROP INDEX clicks.visitor_day_visitor, clicks.visitor_day_day;
ALTER TABLE clicks.visitor_day ADD PRIMARY KEY (day, shop, visitor, slug, partner);
