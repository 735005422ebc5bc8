//! `EraseClicks`: removes clicks for ever, and what tells of them.

use super::{ClickStatsService, ERASURES};
use crate::{
    domain::{
        erasure::{ErasureScope, read_day, read_visitor, write_visitor},
        fault::{Faults, Problem, Reason},
        name::{PartnerCode, ShopId},
    },
    proto::{self, ErrorReason, erase_clicks_request::Scope as Wire, erasure},
    rpc::{
        caller::{Caller, Scope},
        convert::{Path, take},
        status::Failure,
    },
    store::{
        Store,
        clicks::{Erased, Erasure},
    },
};

/// Erases what a request asks for.
pub(super) async fn erase(
    service: &ClickStatsService,
    caller: Caller,
    request: proto::EraseClicksRequest,
) -> Result<proto::EraseClicksResponse, Failure> {
    let store = &service.store;
    let (shop, scope) = read(&request)?;
    caller.may(Scope::Erase, Some(&shop))?;
    if store.get_shop(&shop).await?.is_none() {
        let text = format!("there is no shop `{shop}`; check `shop`");
        return Err(Failure::new(ErrorReason::ShopNotFound, text).with("shop", &shop));
    }
    let scope = known(store, &shop, scope).await?;
    let Ok(_permit) = service.erasures.try_acquire() else {
        let text =
            format!("this server erases for {ERASURES} calls already, which is all that it does at a time");
        return Err(Failure::new(ErrorReason::Overloaded, text));
    };
    let Erased { clicks, conversions, nameless, rejected, position } =
        store.erase_clicks(&shop, &scope).await?;
    tracing::info!(%shop, clicks, conversions, nameless, rejected, position, "erased");
    Ok(proto::EraseClicksResponse {
        removed_clicks: clicks,
        removed_conversions: conversions,
        anonymized_conversions: nameless,
        position,
        erased_rejected: rejected,
    })
}

fn read(request: &proto::EraseClicksRequest) -> Result<(ShopId, ErasureScope), Failure> {
    let mut faults = Faults::new();
    let shop = take(ShopId::fold(&request.shop), &Path::root("shop"), &mut faults);
    let (scope, field) = match &request.scope {
        None => (Err(Problem::required("which clicks to erase")), "scope"),
        Some(Wire::Partner(code)) => (PartnerCode::fold(code).map(ErasureScope::Partner), "partner"),
        Some(Wire::Day(day)) => (read_day(day).map(ErasureScope::Day), "day"),
        Some(Wire::Visitor(key)) => (read_visitor(key).map(ErasureScope::Visitor), "visitor"),
        Some(Wire::Everything(proto::EraseEverything {})) => (Ok(ErasureScope::Everything), "everything"),
    };
    let scope = take(scope, &Path::root(field), &mut faults);
    Ok(faults.finish(shop.zip(scope))?)
}

/// Checks that the shop has, or had, a partner that is named by code or alias, and names it by its code as clicks do:
/// of a name with a typing error nothing would be erased, and nobody told.
async fn known(store: &Store, shop: &ShopId, scope: ErasureScope) -> Result<ErasureScope, Failure> {
    let ErasureScope::Partner(code) = scope else { return Ok(scope) };
    match store.get_partner(shop, &code).await? {
        Some(partner) => Ok(ErasureScope::Partner(partner.value.code)),
        None => {
            let text =
                format!("the shop `{shop}` never had a partner `{code}`; name one by its code or an alias");
            Err(Problem::new(Reason::UnknownReference, text).at("partner").into())
        }
    }
}

/// Writes what an entry of the ledger erased.
pub(super) fn write(erased: Erasure) -> proto::Erasure {
    let scope = match erased.scope {
        Some(ErasureScope::Partner(code)) => erasure::Scope::Partner(code.to_string()),
        Some(ErasureScope::Day(day)) => erasure::Scope::Day(day.to_string()),
        Some(ErasureScope::Visitor(key)) => erasure::Scope::Visitor(write_visitor(key)),
        None => erasure::Scope::Visitor(String::new()),
        Some(ErasureScope::Everything) => erasure::Scope::Everything(proto::EraseEverything {}),
    };
    proto::Erasure {
        shop: erased.shop.to_string(),
        scope: Some(scope),
        removed_clicks: erased.clicks,
        removed_conversions: erased.conversions,
    }
}
