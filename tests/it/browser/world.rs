//! Everything that a click passes, and a page to click on.

use std::net::SocketAddr;

use smartlinks::proto::{
    Condition, CountIs, CreateLinkRequest, CreatePartnerRequest, CreateShopRequest, DeviceClass, DeviceIs,
    LanguageIs, Link, Partner, RedirectKind, ReferrerHostIs, Rule, Shop, Utm, VisitorMode, condition::Kind,
    count_is, rule::Then,
};

use super::{
    seen::Seen,
    site::Site,
    tap::{Tap, Visit},
    wire::{self, Exchange},
};
use crate::{
    gateway::fixture::Door,
    resolver::fixture::Served,
    support::{
        database::Database,
        requests::{self, create_link},
        server::TestServer,
    },
};

/// The host of the page to click on.
const BLOG: &str = "blog.localhost";
/// The link host of the shop whose visitors agree to cookies.
const LOYAL: &str = "loyal.localhost";

/// A shop with links, and everything on the way to it.
pub(super) struct World {
    /// What passed between browser and gateway.
    pub(super) wire: Seen<Exchange>,
    /// What the gateway asked, and got a location for.
    pub(super) visits: Seen<Visit>,
    /// Where links lead.
    pub(super) shop: Site,
    /// Where links stand.
    pub(super) blog: Site,
    address: SocketAddr,
    _door: Door,
    _tap: Served,
    _server: TestServer,
    _database: Database,
}

impl World {
    /// Makes a shop with these links, all of them shared with everyone, `anna` among them:
    ///
    /// | link | leads to |
    /// |---|---|
    /// | `sale` | `/sale/app` on a phone, `/sale/de` in German, else `/sale/summer?tab=all#top`; with UTM |
    /// | `press` | `/from/blog` from the blog, else `/from/elsewhere` |
    /// | `plain` | `/plain` |
    /// | `moved` | `/moved`, for ever |
    ///
    /// And one that tells visitors from each other by cookie, with the link `third`: it leads to `/thanks` from the third
    /// visit on, before that to `/welcome`.
    pub(super) async fn open() -> Self {
        let database = Database::create().await;
        let server = TestServer::ready(database.url()).await;
        let (tap, visits) = Tap::new(server.resolver());
        let tap = Served::start(tap).await;
        let door = Door::open_with_cookies(tap.address, "a secret of this test").await;
        let (address, wire) = wire::open(door.address).await;
        let (shop, blog) = (Site::open("localhost").await, Site::open(BLOG).await);
        make_links(&server, &shop, address).await;
        Self {
            wire,
            visits,
            shop,
            blog,
            address,
            _door: door,
            _tap: tap,
            _server: server,
            _database: database,
        }
    }

    /// Returns the address of a link.
    pub(super) fn link(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// Returns the address of a link of the shop whose visitors agree to cookies.
    pub(super) fn loyal_link(&self, path: &str) -> String {
        format!("http://{LOYAL}:{}/{path}", self.address.port())
    }

    /// Puts a page with a link of the id `link` on the blog, and returns the page's address.
    pub(super) fn page_with(&self, link: &str, attributes: &str) -> String {
        self.page_with_more(link, attributes, "")
    }

    /// Puts a page on the blog that holds something besides the link.
    pub(super) fn page_with_more(&self, link: &str, attributes: &str, more: &str) -> String {
        let link = self.link(link);
        self.blog.put("/page", &format!("{more}<a id=link href=\"{link}\" {attributes}>Look</a>"))
    }

    /// Returns the clicks so far.
    pub(super) fn clicks(&self) -> Vec<Visit> {
        self.visits.all().into_iter().filter(Visit::is_click).collect()
    }
}

async fn make_links(server: &TestServer, shop: &Site, gateway: SocketAddr) {
    let mut admin = server.admin();
    let created = Shop {
        id: "shop".into(),
        display_name: "Shop".into(),
        base_url: shop.origin.clone(),
        link_hosts: vec![gateway.ip().to_string()],
        public_url: format!("http://{gateway}"),
        ..Shop::default()
    };
    admin
        .create_shop(CreateShopRequest { shop: Some(created), ..CreateShopRequest::default() })
        .await
        .unwrap();
    let anna = Partner {
        shop: "shop".into(),
        code: "anna".into(),
        display_name: "Anna".into(),
        ..Partner::default()
    };
    admin
        .create_partner(CreatePartnerRequest { partner: Some(anna), ..CreatePartnerRequest::default() })
        .await
        .unwrap();
    let phone = Kind::Device(DeviceIs { classes: vec![DeviceClass::Mobile.into()] });
    let german = Kind::Language(LanguageIs { ranges: vec!["de".into()] });
    let from_blog =
        Kind::ReferrerHost(ReferrerHostIs { hosts: vec![BLOG.into()], ..ReferrerHostIs::default() });
    let utm = Utm {
        source: Some("{partner}".into()),
        medium: Some("affiliate".into()),
        campaign: Some("summer".into()),
        ..Utm::default()
    };
    let links = [
        Link {
            rules: vec![rule("phone", phone, "sale/app"), rule("german", german, "sale/de")],
            utm: Some(utm),
            ..link("sale", "sale/summer?tab=all#top")
        },
        Link { rules: vec![rule("from-blog", from_blog, "from/blog")], ..link("press", "from/elsewhere") },
        Link { redirect: RedirectKind::MovedPermanently.into(), ..link("moved", "moved") },
    ];
    for link in links {
        let request = CreateLinkRequest { link: Some(link), ..CreateLinkRequest::default() };
        admin.create_link(request).await.unwrap();
    }
    let loyal = Shop {
        id: "loyal".into(),
        display_name: "Loyal".into(),
        base_url: shop.origin.clone(),
        link_hosts: vec![LOYAL.into()],
        visitor_mode: VisitorMode::Cookie.into(),
        ..Shop::default()
    };
    admin.create_shop(CreateShopRequest { shop: Some(loyal), ..CreateShopRequest::default() }).await.unwrap();
    let often = Kind::VisitorTotalVisits(CountIs { test: Some(count_is::Test::AtLeast(3)) });
    let third =
        Link { rules: vec![rule("often", often, "thanks")], ..requests::link("loyal", "third", "welcome") };
    admin.create_link(CreateLinkRequest { link: Some(third), ..CreateLinkRequest::default() }).await.unwrap();
    let last = admin.create_link(create_link("shop", "plain", "plain")).await.unwrap();
    server.wait_for(last.into_inner().revision).await;
}

fn link(slug: &str, destination: &str) -> Link {
    requests::link("shop", slug, destination)
}

fn rule(id: &str, when: Kind, destination: &str) -> Rule {
    Rule {
        id: id.into(),
        when: Some(Condition { kind: Some(when) }),
        then: Some(Then::Destination(destination.into())),
        ..Rule::default()
    }
}
