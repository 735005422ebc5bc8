//! `CheckSplit`: compares how visitors were split between variants with how they were to be.

use jiff::Timestamp;

use super::{figures::not_counted, filter};
use crate::{
    domain::{
        fault::{Faults, Problem, Reason},
        fit::{Fit, Verdict},
        limits,
        link::{Outcome, Rule},
        name::{RuleId, ShopId, Slug},
        variant::Variants,
    },
    proto::{self, CheckSplitRequest, CheckSplitResponse, ErrorReason},
    rpc::{
        caller::{Caller, Scope},
        convert::{Path, take, time},
        status::Failure,
    },
    store::{Split, SplitQuery, Store},
};

/// Checks the split of a rule.
pub(super) async fn check(
    store: &Store,
    caller: Caller,
    request: CheckSplitRequest,
) -> Result<CheckSplitResponse, Failure> {
    let question = Question::read(&request)?;
    caller.may(Scope::Stats, Some(&question.shop))?;
    let query = query(store, question).await?;
    let split = store.split(&query, limits::STATS_READ_MEGABYTES).await.map_err(not_counted)?;
    // A write came in between: what was read is not what stands there now.
    let split = split.ok_or_else(|| {
        Failure::new(ErrorReason::WriteConflict, "the variants changed while they were looked at; ask again")
    })?;
    Ok(write(&query.variants, &split))
}

/// What is asked.
struct Question {
    shop: ShopId,
    slug: Slug,
    rule: RuleId,
    times: filter::Times,
}

impl Question {
    fn read(request: &CheckSplitRequest) -> Result<Self, Faults> {
        let mut faults = Faults::new();
        let shop = take(ShopId::fold(&request.shop), &Path::root("shop"), &mut faults);
        let slug = take(Slug::fold(&request.slug), &Path::root("slug"), &mut faults);
        let rule = take(RuleId::fold(&request.rule_id), &Path::root("rule_id"), &mut faults);
        let times = filter::times(request.start_time.as_ref(), request.end_time.as_ref(), &mut faults);
        let read = || Some(Self { shop: shop?, slug: slug?, rule: rule?, times: times? });
        let question = read();
        faults.finish(question)
    }
}

/// Looks up the variants that are asked about.
async fn query(store: &Store, question: Question) -> Result<SplitQuery, Failure> {
    let Question { shop, slug, rule, times: (start, end) } = question;
    let Some(link) = store.get_link(&shop, &slug).await? else {
        let text = format!("the shop `{shop}` has no link `{slug}`");
        return Err(Failure::new(ErrorReason::LinkNotFound, text).with("shop", shop).with("slug", slug));
    };
    let has_id = |other: &&Rule| other.id == rule;
    let found = link.value.routing.rules.into_iter().find(|other| has_id(&other));
    let variants = match found.map(|rule| rule.then) {
        Some(Outcome::Variants(variants)) => variants,
        Some(Outcome::Destination(_)) | None => {
            let text = format!("the link `{slug}` has no rule `{rule}` with variants");
            return Err(Faults::from(Problem::new(Reason::UnknownValue, text).at("rule_id")).into());
        }
    };
    Ok(SplitQuery { shop, slug, rule, variants, start, end: end.unwrap_or_else(Timestamp::now) })
}

fn write(variants: &Variants, split: &Split) -> CheckSplitResponse {
    let drawn = |id: &str| split.drawn.get(id).copied().unwrap_or_default();
    let counted: Vec<_> = variants
        .as_slice()
        .iter()
        .map(|variant| (u64::try_from(drawn(variant.id.as_str()).draws).unwrap_or_default(), variant.weight))
        .collect();
    let fit = Fit::of(&counted);
    let shares = variants.as_slice().iter().zip(&fit.expected).map(|(variant, expected)| {
        let drawn = drawn(variant.id.as_str());
        proto::VariantShare {
            variant_id: variant.id.to_string(),
            weight: variant.weight.number().into(),
            clicks: drawn.clicks,
            draws: drawn.draws,
            expected_draws: *expected,
        }
    });
    CheckSplitResponse {
        verdict: verdict(fit.verdict).into(),
        variants: shares.collect(),
        since_revision: split.since.0,
        since_time: Some(time::write(split.since_at)),
        earlier_clicks: split.earlier,
        chi_square: fit.chi_square,
        degrees_of_freedom: i32::try_from(fit.degrees_of_freedom).unwrap_or(i32::MAX),
        p_value: fit.p_value,
    }
}

fn verdict(verdict: Verdict) -> proto::SplitVerdict {
    match verdict {
        Verdict::AsAsked => proto::SplitVerdict::AsAsked,
        Verdict::Mismatch => proto::SplitVerdict::Mismatch,
        Verdict::TooFew => proto::SplitVerdict::TooFew,
    }
}
