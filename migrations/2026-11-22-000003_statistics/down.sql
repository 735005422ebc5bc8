DROP TABLE clicks.roller, clicks.rolled, clicks.stats_shop_quarter, clicks.stats_link_day, clicks.stats_partner_day,
    clicks.stats_link_partner_day, clicks.stats_dim_day, clicks.stats_visitors_day, clicks.visitor_day,
    clicks.counter_link, clicks.counter_partner;
