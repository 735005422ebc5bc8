//! Golden clicks, tried out on what a link is to be.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use super::{Path, warnings, writes::blocking};
use crate::{
    classify::{Classifier, user_agent::ClientHints},
    domain::{
        click_id::ClickId,
        fact::Fact,
        fault::{Fault, Faults, Problem},
        golden::{GoldenClick, TestVisit},
        link::{Link, LinkState, Routing},
        name::{PartnerCode, ShopId},
        partner::Partner,
        query::{Piece, pieces},
        revision::Revision,
        shop::ShopSettings,
        split::SplitKey,
        visit::{Channel, Headers, Hints, Site, Visit},
        visitor::KnownVisitor,
    },
    index::{PartnerState, Record, Snapshot, Writer},
    proto::Warning,
    rpc::status::Failure,
    store::{Store, Stored},
};

/// How a write tries out the golden clicks of its links.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Golden {
    /// Whether it goes on although some go elsewhere than they have to, and says so.
    may_fail: bool,
    /// The key of splits, if it is made of a secret.
    secret: Option<SplitKey>,
}

impl Golden {
    /// Reads the field of a request.
    pub(super) fn of(allow_failing: bool, secret: &Option<SplitKey>) -> Self {
        Self { may_fail: allow_failing, secret: *secret }
    }
}

/// A link as it is to be, and where the request says so.
pub(super) struct Draft {
    pub(super) path: String,
    pub(super) link: Link,
    /// When it is to be so: the time of test visits that say none.
    at: Timestamp,
}

impl Draft {
    /// Takes a link, if it has golden clicks.
    pub(super) fn of(path: &str, link: &Link, at: Timestamp) -> Option<Self> {
        (!link.golden_clicks.is_empty()).then(|| Self { path: path.to_owned(), link: link.clone(), at })
    }
}

/// Tries out the golden clicks of links of a shop. Those that have to pass and do not are faults.
pub(super) async fn try_out(
    store: &Store,
    shop: &ShopId,
    settings: &ShopSettings,
    drafts: Vec<Draft>,
    golden: Golden,
    faults: &mut Faults,
) -> Result<Vec<Warning>, Failure> {
    if drafts.is_empty() {
        return Ok(Vec::new());
    }
    let named: BTreeSet<PartnerCode> = drafts
        .iter()
        .flat_map(|draft| &draft.link.golden_clicks)
        .flat_map(|golden| partners_of(&golden.visit, settings))
        .collect();
    let partners = match named.is_empty() {
        true => Vec::new(),
        false => store.get_partners_named(shop, &named.into_iter().collect::<Vec<_>>()).await?,
    };
    // The key of real clicks: who gets which variant hangs on it.
    let split_key = match golden.secret {
        Some(key) => key,
        None => SplitKey::of_installation(store.installation().await?),
    };
    let tried_with = World { settings: settings.clone(), partners, split_key };
    let failed = blocking(move || judge_all(&drafts, &tried_with)).await?;
    if golden.may_fail {
        let warning = |fault: &Fault| warnings::warning(fault.path.clone(), fault.problem.text.clone());
        return Ok(failed.iter().map(warning).collect());
    }
    faults.extend(failed);
    Ok(Vec::new())
}

/// Returns every name that the index may take for that of a partner.
fn partners_of<'a>(
    visit: &'a TestVisit,
    settings: &'a ShopSettings,
) -> impl Iterator<Item = PartnerCode> + 'a {
    let names_one = |piece: &Piece<'_>| {
        piece.raw_name().is_some_and(|name| settings.partner_params().any(|param| param.is_named_by(name)))
    };
    let in_query =
        pieces(&visit.query).filter(names_one).filter_map(|piece| PartnerCode::fold(&piece.value()?).ok());
    visit.partner.clone().into_iter().chain(in_query)
}

/// What links are tried out with.
struct World {
    settings: ShopSettings,
    /// Those that golden clicks may name.
    partners: Vec<Stored<Partner>>,
    split_key: SplitKey,
}

fn judge_all(drafts: &[Draft], world: &World) -> Faults {
    let (classifier, mut faults) = (Classifier::default(), Faults::new());
    for Draft { path, link, at: now } in drafts {
        // Without its window a link is always within its time.
        let timeless = Routing { start_time: None, expire_time: None, ..link.routing.clone() };
        let any_time = snapshot(link, timeless, world);
        let in_time = snapshot(link, link.routing.clone(), world);
        for (at, golden) in link.golden_clicks.iter().enumerate() {
            let snapshot = if golden.visit.time.is_some() { &in_time } else { &any_time };
            if let Err(problem) = judge(golden, link, snapshot, &classifier, *now) {
                faults.add(Path::root(path).field("golden_clicks").index(at).to_string(), problem);
            }
        }
    }
    faults
}

/// Makes an index of one link, active whatever its state, with the partners that its golden clicks may name.
fn snapshot(link: &Link, routing: Routing, world: &World) -> Arc<Snapshot> {
    let World { settings, partners, split_key } = world;
    let revision = Revision(1);
    let of_shop = Record::Shop {
        shop: link.shop.clone(),
        revision,
        settings: Some(settings.clone()),
        default_link: link.slug.clone(),
    };
    let of_link = Record::Link {
        shop: link.shop.clone(),
        slug: link.slug.clone(),
        revision,
        state: LinkState::Active,
        sharing: link.sharing.clone(),
        routing,
        pending: None,
    };
    let of_partners = partners.iter().map(|Stored { value, delete_time, .. }| Record::Partner {
        shop: value.shop.clone(),
        code: value.code.clone(),
        revision,
        state: delete_time.is_none().then(|| PartnerState {
            aliases: value.aliases.clone(),
            program: value.program.clone(),
            tags: value.tags.clone(),
            active: value.active,
        }),
    });
    let first = [Record::SplitKey(*split_key), of_shop, of_link];
    Writer::new().apply(first.into_iter().chain(of_partners), revision)
}

fn judge(
    golden: &GoldenClick,
    link: &Link,
    snapshot: &Snapshot,
    classifier: &Classifier,
    now: Timestamp,
) -> Result<(), Problem> {
    let test = &golden.visit;
    let time = test.time.unwrap_or(now);
    let read = classifier.user_agent(test.user_agent.as_deref(), &ClientHints::default());
    let visit = Visit {
        site: Site::Shop(link.shop.as_str()),
        slug: link.slug.as_str(),
        partner: test.partner.as_ref().map_or("", PartnerCode::as_str),
        query: &test.query,
        time,
        // The answer to a click says which destination was chosen.
        click_id: Some(ClickId::new(time, [0; 10])),
        address: Fact::or_unknown(test.address),
        country: Fact::or_unknown(test.country),
        channel: Channel::Link,
        agent: Arc::new(test.correct(&read)),
        hints: Hints { internal: test.internal, prefetch: false },
        headers: Some(Headers {
            user_agent: test.user_agent.as_deref(),
            accept_language: test.accept_language.as_deref(),
            referer: test.referer.as_deref(),
        }),
        purpose_header: None,
        attributes: &test.attributes,
        visitor: Some(KnownVisitor {
            id: &test.visitor_id,
            total_visits: test.visitor_total_visits,
            from_cookie: false,
        }),
        totals: test.totals,
        opted_out: false,
    };
    let resolution = snapshot.resolve(&visit).ok();
    let chosen =
        resolution.as_ref().filter(|resolution| resolution.to.is_ok()).and_then(|it| it.kept.as_ref());
    let rule = resolution.as_ref().and_then(|resolution| resolution.rule.as_ref());
    golden.judge(chosen.map(|kept| kept.destination.as_str()), rule)
}
