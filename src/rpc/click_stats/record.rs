//! `RecordConversions`: credits orders to clicks, each with an outcome of its own.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::ClickStatsService;
use crate::{
    domain::{
        click_id::ClickId,
        conversion::{Amount, Conversion, Kind, OrderId, Properties, PropertyName, PropertyValue},
        currency::Currency,
        fault::{Faults, Problem, Reason},
        limits,
        name::ShopId,
        orders::Outcome,
    },
    proto::{self, ConversionKind, ConversionResult, ErrorReason, NewConversion},
    rpc::{
        caller::{Caller, Scope},
        convert::{self, Path, take, time},
        status::Failure,
    },
    store::StoreError,
};

/// Records the conversions of a request.
pub(super) async fn record(
    service: &ClickStatsService,
    caller: Caller,
    request: proto::RecordConversionsRequest,
) -> Result<proto::RecordConversionsResponse, Failure> {
    let (store, now) = (&service.store, Timestamp::now());
    let shop = read(&request)?;
    caller.may(Scope::Credit, Some(&shop))?;
    if store.get_shop(&shop).await?.is_none() {
        let text = format!("there is no shop `{shop}`; check `shop`");
        return Err(Failure::new(ErrorReason::ShopNotFound, text).with("shop", &shop));
    }
    let read: Vec<_> =
        request.conversions.iter().enumerate().map(|(at, wire)| read_one(wire, at, now)).collect();
    let sound: Vec<_> = read.iter().filter_map(|read| read.as_ref().ok().cloned()).collect();
    // Nobody closes the semaphore.
    let permit = service.recordings.acquire().await.map_err(|error| Failure::internal(&error))?;
    let recording = store.record_conversions(&shop, &sound, now).await?;
    drop(permit);
    let mut decided = recording.outcomes.into_iter();
    let mut outcomes = Vec::with_capacity(read.len());
    for (at, read) in read.into_iter().enumerate() {
        outcomes.push(match read.map(|_| decided.next()) {
            Err(faults) => refused(faults),
            Ok(Some(Ok(outcome))) => {
                proto::ConversionOutcome { result: result(outcome).into(), violations: vec![] }
            }
            Ok(Some(Err(fault))) => {
                let mut faults = Faults::new();
                Path::root("conversions").index(at).adopt(fault.into(), &mut faults);
                refused(faults)
            }
            Ok(None) => {
                let cause = "not every conversion was decided on".into();
                return Err(StoreError::Corrupt { object: "conversions".to_owned(), cause }.into());
            }
        });
    }
    Ok(proto::RecordConversionsResponse { outcomes, position: recording.position })
}

fn refused(faults: Faults) -> proto::ConversionOutcome {
    proto::ConversionOutcome {
        result: ConversionResult::Refused.into(),
        violations: Failure::from(faults).into_violations(),
    }
}

fn result(outcome: Outcome) -> ConversionResult {
    match outcome {
        Outcome::Applied => ConversionResult::Applied,
        Outcome::Waiting => ConversionResult::Waiting,
        Outcome::AlreadyThere => ConversionResult::AlreadyThere,
    }
}

/// Reads what concerns the request as a whole.
fn read(request: &proto::RecordConversionsRequest) -> Result<ShopId, Failure> {
    let mut faults = Faults::new();
    let shop = take(ShopId::fold(&request.shop), &Path::root("shop"), &mut faults);
    let (count, most) = (request.conversions.len(), limits::CONVERSIONS);
    let problem = match count {
        0 => Some(Problem::required("a conversion")),
        _ if count > most => {
            let text = format!("there are {count} conversions, at most {most} are allowed in one call");
            Some(Problem::new(Reason::TooLong, text))
        }
        _ => None,
    };
    if let Some(problem) = problem {
        faults.add("conversions", problem);
    }
    Ok(faults.finish(shop)?)
}

/// Reads a conversion, with all that is wrong with it.
fn read_one(wire: &NewConversion, at: usize, now: Timestamp) -> Result<Conversion, Faults> {
    let root = Path::root("conversions");
    let path = root.index(at);
    let mut faults = Faults::new();
    let order = take(OrderId::parse(&wire.order_id), &path.field("order_id"), &mut faults);
    let kind = read_kind(wire, &path, &mut faults);
    let time = read_time(wire, now, &path.field("conversion_time"), &mut faults);
    let money = path.field("amount");
    let amount = convert::required(wire.amount.as_ref(), "the amount", &money, &mut faults);
    let currency =
        amount.and_then(|wire| take(Currency::parse(&wire.currency), &money.field("currency"), &mut faults));
    let is_refund = wire.kind == i32::from(ConversionKind::Refund);
    let amount = amount.and_then(|wire| {
        let amount = if is_refund { Amount::paid_back(wire.amount) } else { Amount::paid(wire.amount) };
        take(amount, &money.field("amount"), &mut faults)
    });
    let properties = read_properties(wire, &path.field("properties"), &mut faults);
    let read = || {
        let (kind, at) = (kind?, time?);
        Some(Conversion {
            order: order?,
            kind,
            at,
            amount: amount?,
            currency: currency?,
            properties: properties?,
        })
    };
    let read = read();
    faults.finish(read)
}

fn read_kind(wire: &NewConversion, path: &Path<'_>, faults: &mut Faults) -> Option<Kind> {
    let (click, refund) = (path.field("click_id"), path.field("refund_id"));
    let superfluous = |text: &str| Err(Problem::new(Reason::Conflict, text));
    let at_kind = path.field("kind");
    match convert::enumerated(wire.kind, "kind of conversion", &at_kind, faults)? {
        ConversionKind::Unspecified => take(Err(convert::unspecified("the kind")), &at_kind, faults),
        ConversionKind::Order => {
            let id = take(read_click(&wire.click_id), &click, faults);
            if !wire.refund_id.is_empty() {
                take(superfluous("an order is no refund; leave it empty"), &refund, faults)?;
            }
            id.map(Kind::Order)
        }
        ConversionKind::Refund => {
            let id = take(OrderId::parse(&wire.refund_id), &refund, faults);
            if !wire.click_id.is_empty() {
                take(superfluous("a refund is of the click of its order; leave it empty"), &click, faults)?;
            }
            id.map(Kind::Refund)
        }
    }
}

fn read_click(text: &str) -> Result<ClickId, Problem> {
    if text.is_empty() {
        return Err(Problem::required("the click"));
    }
    let id = uuid::Uuid::try_parse(text).ok().and_then(ClickId::from_uuid);
    id.ok_or_else(|| Problem::new(Reason::Malformed, "the click id is no UUID of version 7"))
}

/// Reads the time, to the microsecond.
fn read_time(
    wire: &NewConversion,
    now: Timestamp,
    path: &Path<'_>,
    faults: &mut Faults,
) -> Option<Timestamp> {
    let wire = convert::required(wire.conversion_time.as_ref(), "the time", path, faults)?;
    let at = time::read(wire, path, faults)?;
    if at > now + SignedDuration::from_mins(limits::CLICK_ID_AHEAD_MINUTES) {
        let text = format!("the time is more than {} minutes ahead", limits::CLICK_ID_AHEAD_MINUTES);
        return take(Err(Problem::new(Reason::OutOfRange, text)), path, faults);
    }
    Timestamp::from_microsecond(at.as_microsecond()).ok()
}

fn read_properties(wire: &NewConversion, path: &Path<'_>, faults: &mut Faults) -> Option<Properties> {
    let (count, most) = (wire.properties.len(), limits::PROPERTIES);
    if count > most {
        let text = format!("there are {count} properties, at most {most} are allowed");
        return take(Err(Problem::new(Reason::TooLong, text)), path, faults);
    }
    // In an order that does not change from call to call.
    let sorted: BTreeMap<_, _> = wire.properties.iter().collect();
    let mut properties = Properties::new();
    for (name, value) in sorted {
        let path = path.key(name);
        let (name, value) = (PropertyName::parse(name), PropertyValue::parse(value));
        let (name, value) = (take(name, &path, faults), take(value, &path, faults));
        properties.extend(name.zip(value));
    }
    (properties.len() == count).then_some(properties)
}
