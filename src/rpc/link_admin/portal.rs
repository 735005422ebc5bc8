//! What a partner's portal shows.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, tz::TimeZone};

use super::{Faults, Path, live_shop, may, pages::Page, partners::live_partner, sound};
use crate::{
    domain::{
        client::TrafficClass,
        limits,
        link::LinkState,
        name::{PartnerCode, ShopId},
        stats::{ConversionTime, Dimension, Granularity, Pieces, StatsQuery},
        visit::ResolveReason,
    },
    proto,
    rpc::{
        caller::Caller,
        click_stats::{Measures, not_counted, sum, write_figures},
        convert::{self, take, time},
        status::Failure,
    },
    store::{LinkCursor, LinkOrder, ListedLink, Store, Stored},
};

pub(super) async fn list(
    store: &Store,
    caller: Caller,
    request: proto::ListPartnerLinksRequest,
) -> Result<proto::ListPartnerLinksResponse, Failure> {
    let (page, shop, partner, search, time) = read(request)?;
    may(caller, &shop)?;
    let settings = live_shop(store, &shop).await?.stored.value.settings;
    let partner = live_partner(store, &shop, &partner).await?.value;
    if !partner.active {
        return Ok(proto::ListPartnerLinksResponse::default());
    }
    let (shop, code, search) = (&shop, &partner.code, search.as_deref());
    let (now, public_url) = (Timestamp::now(), settings.public_url.as_str());
    let rows = |after: Option<LinkCursor>, limit| async move {
        Ok(store.partner_links(shop, code, search, now, (after.as_ref(), limit)).await?)
    };
    let cursor = |row: &Stored<ListedLink>| LinkCursor::after(LinkOrder::Slug, row);
    let write = |row: Stored<ListedLink>| write(row.value, public_url, code, now);
    let (mut links, next_page_token) = page.collect(rows, cursor, write).await?;
    if let Some(time) = time {
        add_figures(store, shop, code, time, &mut links).await?;
    }
    Ok(proto::ListPartnerLinksResponse { links, next_page_token })
}

/// Adds what the partner brought to these links in a time.
async fn add_figures(
    store: &Store,
    shop: &ShopId,
    partner: &PartnerCode,
    pieces: Pieces,
    links: &mut [proto::PartnerLink],
) -> Result<(), Failure> {
    if links.is_empty() {
        return Ok(());
    }
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let reasons = [ResolveReason::Rule.as_str(), ResolveReason::Default.as_str()];
    // All of the partner's links: to leave out those of other pages would take longer than to read them.
    let query = StatsQuery {
        shop: shop.clone(),
        pieces,
        dimension: Some(Dimension::Link),
        filters: BTreeMap::from([
            (Dimension::Partner, names(&[partner.as_str()])),
            (Dimension::Class, names(&[TrafficClass::Human.as_str()])),
            (Dimension::Reason, names(&reasons)),
        ]),
        visitors: true,
        conversions: Some(ConversionTime::Conversion),
    };
    let mut stats = store.stats(&query, limits::STATS_READ_MEGABYTES).await.map_err(not_counted)?;
    let all = Measures { visitors: true, conversions: true, revenue: true };
    for link in links {
        let figures = stats.figures.remove(&link.slug).unwrap_or_default();
        link.figures = Some(write_figures(sum(&figures), all));
    }
    Ok(())
}

/// Which page of whose links is asked for, what is searched for, and of which time figures are wanted.
type Asked = (Page<LinkCursor>, ShopId, PartnerCode, Option<String>, Option<Pieces>);

fn read(request: proto::ListPartnerLinksRequest) -> Result<Asked, Failure> {
    let mut faults = Faults::new();
    let page = Page::read(
        "partner_links",
        &request,
        |list| (&mut list.page_size, &mut list.page_token),
        &mut faults,
    );
    let fits = |after: &LinkCursor| after.fits(LinkOrder::Slug);
    let page = page.and_then(|page| page.checked(fits, &mut faults));
    let shop = take(ShopId::fold(&request.shop), &Path::root("shop"), &mut faults);
    let partner = take(PartnerCode::fold(&request.partner), &Path::root("partner"), &mut faults);
    let times = (request.figures_start_time.as_ref(), request.figures_end_time.as_ref());
    let time = read_time(times, &mut faults);
    let search = super::read_search(request.search, &mut faults);
    let read = || Some((page?, shop?, partner?, search?, time?));
    sound(read(), faults)
}

/// Reads of which time figures are wanted; neither end, and they are not.
fn read_time(
    (start, end): (Option<&prost_types::Timestamp>, Option<&prost_types::Timestamp>),
    faults: &mut Faults,
) -> Option<Option<Pieces>> {
    if start.is_none() && end.is_none() {
        return Some(None);
    }
    let (from, until) = (Path::root("figures_start_time"), Path::root("figures_end_time"));
    let start =
        convert::required(start, "the time", &from, faults).and_then(|wire| time::read(wire, &from, faults));
    let end =
        convert::required(end, "the time", &until, faults).and_then(|wire| time::read(wire, &until, faults));
    let pieces = Pieces::divide(start?, end?, Granularity::Total, &TimeZone::UTC);
    take(pieces, &until, faults).map(Some)
}

/// Writes what the partner sees of a link; a link that does not work any more is not shown.
fn write(
    link: ListedLink,
    public_url: &str,
    code: &PartnerCode,
    now: Timestamp,
) -> Option<proto::PartnerLink> {
    let (start, end) = (link.routing.start_time, link.routing.expire_time);
    let is_over = end.is_some_and(|end| end <= now);
    if link.state != LinkState::Active || is_over {
        return None;
    }
    Some(proto::PartnerLink {
        url: format!("{public_url}/{}/{code}", link.slug),
        slug: link.slug.to_string(),
        display_name: link.display_name.as_str().to_owned(),
        description: link.description.as_str().to_owned(),
        is_default: link.is_default,
        live: start.is_none_or(|start| start <= now),
        start_time: start.map(time::write),
        expire_time: end.map(time::write),
        figures: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            destination::Destination,
            link::{Description, Routing},
            name::{DisplayName, Slug},
        },
        store::SharingSummary,
    };

    fn seen(state: LinkState, start: Option<i64>, end: Option<i64>) -> Option<proto::PartnerLink> {
        let time = |second: i64| Timestamp::from_second(second).unwrap();
        let routing = Routing {
            start_time: start.map(time),
            expire_time: end.map(time),
            ..Routing::to(Destination::parse("").unwrap())
        };
        let link = ListedLink {
            shop: ShopId::parse("acme").unwrap(),
            slug: Slug::parse("sale").unwrap(),
            is_default: false,
            display_name: DisplayName::parse("Sale").unwrap(),
            description: Description::default(),
            tags: Vec::new(),
            state,
            sharing: SharingSummary { everyone: true, partners: 0, programs: 0 },
            routing,
        };
        write(link, "https://go.acme.example", &PartnerCode::parse("anna").unwrap(), time(100))
    }

    #[test]
    fn url_is_the_partners_own() {
        assert_eq!(seen(LinkState::Active, None, None).unwrap().url, "https://go.acme.example/sale/anna");
    }

    #[test]
    fn link_is_live_from_its_start_to_its_end() {
        let live = |start, end| seen(LinkState::Active, start, end).map(|link| link.live);
        assert_eq!(live(None, None), Some(true));
        assert_eq!(live(Some(100), Some(101)), Some(true));
        assert_eq!(live(Some(101), None), Some(false));
        assert_eq!(live(None, Some(100)), None);
        assert_eq!(seen(LinkState::Paused, None, None), None);
        assert_eq!(seen(LinkState::Deleted, None, None), None);
    }
}
