//! `CheckLink`: what can be said of a link's rules without any visit.

use std::sync::Arc;

use jiff::Timestamp;
use prost::Message;

use super::{
    Faults, Path, Problem, key,
    link_writes::{Change, NewLink},
    links::find,
    live_shop, may, sound,
    writes::blocking,
};
use crate::{
    classify::Classifier,
    domain::{
        limits,
        link::{Link, Rule},
        name::{ShopId, Slug},
        shop::ShopSettings,
    },
    index::analysis::{Analysis, Report, analyse},
    proto,
    rpc::{caller::Caller, convert::finding::write, status::Failure},
    store::Store,
};

/// What is checked.
enum Subject {
    /// A link as it stands.
    Stored(Slug),
    /// A link as it would be.
    Changed(Slug, Box<Change>),
    /// A link that is not there.
    New(Box<NewLink>),
}

pub(super) async fn check(
    store: &Store,
    caller: Caller,
    request: proto::CheckLinkRequest,
    classifier: &Arc<Classifier>,
) -> Result<proto::CheckLinkResponse, Failure> {
    let shop = key(&request.shop, ShopId::fold, "shop")?;
    let mut faults = Faults::new();
    let subject = read(&shop, request, &mut faults);
    let subject = sound(subject, faults)?;
    may(caller, &shop)?;
    let settings = live_shop(store, &shop).await?.stored.value.settings;
    let (link, path) = load(store, &shop, subject).await?;
    let countries = classifier.geo().is_some();
    let (report, rules) = blocking(move || look(link, path, &settings, countries)).await??;
    let decided = report.is_decided();
    let (findings, more_findings) = fitting(&report, path, &rules, limits::FINDINGS_BYTES);
    Ok(proto::CheckLinkResponse { findings, decided, more_findings })
}

/// Writes the first findings, as many as fit, and how many there are besides.
fn fitting(report: &Report, path: &str, rules: &[Rule], mut room: usize) -> (Vec<proto::Finding>, i32) {
    let written = report.findings.iter().map(|finding| write(finding, path, rules)).map_while(|finding| {
        room = room.checked_sub(finding.encoded_len())?;
        Some(finding)
    });
    let findings: Vec<proto::Finding> = written.collect();
    let more = report.findings.len() - findings.len();
    (findings, i32::try_from(more).unwrap_or(i32::MAX))
}

fn read(shop: &ShopId, request: proto::CheckLinkRequest, faults: &mut Faults) -> Option<Subject> {
    let slug = match request.slug.as_str() {
        "" => None,
        slug => Some(crate::rpc::convert::take(Slug::fold(slug), &Path::root("slug"), faults)?),
    };
    match (slug, request.draft) {
        (Some(slug), None) => Some(Subject::Stored(slug)),
        (Some(slug), Some(mut draft)) => {
            if draft.slug.is_empty() {
                draft.slug = slug.to_string();
            }
            let mask = (request.update_mask, "update_mask".to_owned());
            let change = Change::read("draft".to_owned(), draft, mask, Some(shop), faults)?;
            if change.slug != slug {
                let text = format!("the draft is of the link `{}` and the request of `{slug}`", change.slug);
                faults.add("draft.slug", Problem::new(super::Reason::Conflict, text));
            }
            Some(Subject::Changed(slug, Box::new(change)))
        }
        (None, Some(draft)) => {
            let new = NewLink::read("draft".to_owned(), draft, Some(shop), faults)?;
            Some(Subject::New(Box::new(new)))
        }
        (None, None) => {
            faults.add("slug", Problem::required("the link, by `slug` or as `draft`"));
            None
        }
    }
}

/// Returns the link, and where its fields stand in the request.
async fn load(store: &Store, shop: &ShopId, subject: Subject) -> Result<(Link, &'static str), Failure> {
    Ok(match subject {
        Subject::Stored(slug) => (find(store, shop, &slug).await?.value, ""),
        Subject::Changed(slug, change) => {
            let mut link = find(store, shop, &slug).await?.value;
            change.apply(&mut link);
            (link, "draft.")
        }
        Subject::New(new) => (new.link, "draft."),
    })
}

/// Looks at a link that could be written; one that could not has faults enough.
fn look(
    link: Link,
    path: &str,
    settings: &ShopSettings,
    countries: bool,
) -> Result<(Report, Vec<Rule>), Failure> {
    let mut faults = Faults::new();
    for fault in link.check(settings).iter() {
        faults.add(format!("{path}{}", fault.path), fault.problem.clone());
    }
    // A link as it stands may not fit its shop any more; its rules can be looked at all the same.
    if !path.is_empty() {
        sound(Some(()), faults)?;
    }
    let (now, steps) = (Timestamp::now(), limits::CHECK_STEPS);
    let ask = Analysis { link: &link, shop: settings, countries, now, steps, thorough: true };
    Ok((analyse(&ask), link.routing.rules))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::analysis::{Finding, FindingKind};

    #[test]
    fn findings_that_do_not_fit_are_counted() {
        let finding = Finding {
            kind: FindingKind::DefaultUnreachable,
            rule: None,
            variants: Vec::new(),
            by: Vec::new(),
            text: "x".repeat(100),
            witness: None,
        };
        let report = Report { findings: vec![finding; 5], steps: 0 };
        let (all, more) = fitting(&report, "", &[], 10_000);
        assert_eq!((all.len(), more), (5, 0));
        let (some, more) = fitting(&report, "", &[], all[0].encoded_len() * 2);
        assert_eq!((some.len(), more), (2, 3));
    }
}
