//! Reads which clicks are wanted.

use crate::{
    domain::{
        fault::{Faults, Problem, Reason},
        limits,
        name::{PartnerCode, ShopId, Slug},
    },
    proto,
    rpc::convert::{self, Path, choice, choice::Choice, take},
    store::clicks::ClickFilter,
};

/// Reads a filter and a range of times beside it.
pub(super) fn read(
    wire: &proto::ClickFilter,
    start: Option<&prost_types::Timestamp>,
    end: Option<&prost_types::Timestamp>,
    faults: &mut Faults,
) -> Option<ClickFilter> {
    let path = Path::root("filter");
    let at = |field: &'static str| path.field(field);
    let named = !wire.slugs.is_empty() || !wire.partners.is_empty();
    let shop = match wire.shop.as_str() {
        "" if named => take(Err(Problem::required("the shop that the names are of")), &at("shop"), faults),
        "" => Some(None),
        id => take(ShopId::fold(id), &at("shop"), faults).map(Some),
    };
    let slugs = bounded(&wire.slugs, &at("slugs"), faults)
        .and_then(|slugs| convert::texts(slugs, &at("slugs"), faults, Slug::fold));
    let partners = bounded(&wire.partners, &at("partners"), faults)
        .and_then(|codes| convert::texts(codes, &at("partners"), faults, PartnerCode::fold));
    let traffic = members(&wire.traffic_classes, &at("traffic_classes"), faults);
    let reasons = members(&wire.reasons, &at("reasons"), faults);
    let times = times(start, end, faults);
    let (start, end) = times?;
    Some(ClickFilter {
        shop: shop?,
        slugs: slugs?,
        partners: partners?,
        traffic: traffic?,
        reasons: reasons?,
        start,
        end,
        conversions: false,
    })
}

/// From when, and before when.
pub(in crate::rpc) type Times = (Option<jiff::Timestamp>, Option<jiff::Timestamp>);

/// Reads a range of times of which each end may be open.
pub(in crate::rpc) fn times(
    start: Option<&prost_types::Timestamp>,
    end: Option<&prost_types::Timestamp>,
    faults: &mut Faults,
) -> Option<Times> {
    let mut read = |wire: Option<&prost_types::Timestamp>, field| match wire {
        Some(wire) => convert::time::read(wire, &Path::root(field), faults).map(Some),
        None => Some(None),
    };
    let (start, end) = (read(start, "start_time"), read(end, "end_time"));
    let (start, end) = start.zip(end)?;
    if start.zip(end).is_some_and(|(start, end)| end <= start) {
        let problem = Problem::new(Reason::OutOfRange, "the time ends before or when it begins");
        faults.add("end_time", problem);
        return None;
    }
    Some((start, end))
}

/// Reads members of a closed list.
pub(in crate::rpc) fn members<C: Choice>(
    numbers: &[i32],
    path: &Path<'_>,
    faults: &mut Faults,
) -> Option<Vec<C>> {
    let numbers = bounded(numbers, path, faults)?;
    convert::list(numbers, path, faults, |number, at, faults| choice::read(*number, at, faults))
}

pub(super) fn bounded<'w, T>(list: &'w [T], path: &Path<'_>, faults: &mut Faults) -> Option<&'w [T]> {
    let most = limits::FILTER_VALUES;
    let text = || format!("the list has {} entries, at most {most} are allowed", list.len());
    let checked = if list.len() <= most { Ok(list) } else { Err(Problem::new(Reason::TooLong, text())) };
    take(checked, path, faults)
}
