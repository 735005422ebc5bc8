ALTER TABLE clicks.stats_partner_day DROP CONSTRAINT stats_partner_day_pkey,
    ADD PRIMARY KEY (shop, day, partner, traffic, reason);
ALTER TABLE clicks.stats_link_day DROP CONSTRAINT stats_link_day_pkey,
    ADD PRIMARY KEY (shop, day, slug, traffic, reason);
ALTER TABLE clicks.stats_shop_quarter DROP CONSTRAINT stats_shop_quarter_pkey,
    ADD PRIMARY KEY (shop, at, traffic, reason);
