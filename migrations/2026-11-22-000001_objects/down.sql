DROP TABLE request, change, history, link_reference, link_share, partner_code, partner, program, shop_destination,
    link_host, link, shop, installation;
