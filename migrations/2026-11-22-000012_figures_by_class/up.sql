-- Who asks for figures asks for few classes and reasons of many days: with these in front, the rows of one answer lie
-- together in the index.
ALTER TABLE clicks.stats_shop_quarter DROP CONSTRAINT stats_shop_quarter_pkey,
    ADD PRIMARY KEY (shop, traffic, reason, at);
ALTER TABLE clicks.stats_link_day DROP CONSTRAINT stats_link_day_pkey,
    ADD PRIMARY KEY (shop, traffic, reason, day, slug);
ALTER TABLE clicks.stats_partner_day DROP CONSTRAINT stats_partner_day_pkey,
    ADD PRIMARY KEY (shop, traffic, reason, day, partner);
