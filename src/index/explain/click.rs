//! Why a recorded click went where it went, from what it keeps.

use super::{
    Draw, DrawnBy, ExplainedRule, PendingPublish, SharedBy, Standing, Teller, Verdict, Window, shared_by,
    standing,
};
use crate::{
    domain::{
        click::LoggedClick,
        destination::Destination,
        link::{Link, LinkState, Outcome},
        name::RuleId,
        revision::Revision,
        visit::{Miss, ResolveReason},
    },
    index::{
        compile::named_languages,
        facts::Facts,
        matcher::possible,
        recorded::Recorded,
        replay::{Draft, End, Fate},
    },
};

/// Why a recorded click went where it went.
#[derive(Clone, Debug)]
pub struct ClickExplanation<'a> {
    /// What the link was in; `None` without a link.
    pub window: Option<Window<'a>>,
    /// How the link was shared with the partner that is credited; `None` without a link or such a partner.
    pub shared: Option<SharedBy<'a>>,
    /// The rules that the link had, in their order; none if it was not asked.
    pub rules: Vec<ExplainedRule<'a>>,
    /// The variants of the rule that is recorded.
    pub draw: Option<Draw<'a>>,
    /// Where the click goes if it is decided anew.
    pub fate: Fate,
}

/// A link as a click met it.
#[derive(Clone, Copy, Debug)]
pub struct Met<'a> {
    /// The version that answered.
    pub link: &'a Link,
    /// Its revision.
    pub revision: Revision,
    /// The publish that was pending on the link.
    pub pending: Option<PendingPublish>,
}

/// Explains a click by its link as it met it, if there was one, and by the shop's fallback.
pub fn explain_click<T>(
    click: &LoggedClick,
    met: Option<Met<'_>>,
    fallback: Option<&Destination>,
    see: impl FnOnce(&ClickExplanation<'_>) -> T,
) -> T {
    let missed = |miss| {
        let destination = fallback.map_or("", Destination::as_str).to_owned();
        Fate::To(End { destination, reason: Some(ResolveReason::Missed(miss)), rule: None, variant: None })
    };
    let Some(Met { link, revision, pending }) = met else {
        let fate = missed(Miss::NotFound);
        return see(&ClickExplanation { window: None, shared: None, rules: Vec::new(), draw: None, fate });
    };
    let fate = match link.state {
        LinkState::Deleted => missed(Miss::Deleted),
        LinkState::Paused => missed(Miss::Paused),
        LinkState::Active => {
            let draft = Draft::new(link.clone(), fallback.cloned());
            draft.judge(click, Some(&draft.before(link)))
        }
    };
    let (time, routing) = (click.id.time(), &link.routing);
    let is_open = link.state == LinkState::Active
        && routing.start_time.is_none_or(|start| time >= start)
        && routing.expire_time.is_none_or(|expire| time < expire);
    let recorded = Recorded::new(click, &link.sharing, true);
    let visit = recorded.visit();
    let languages = named_languages(routing.rules.iter().filter(|rule| rule.enabled).map(|rule| &rule.when));
    let facts = recorded.facts(&visit, &languages);
    let partner = click.facts.partner.as_ref();
    see(&ClickExplanation {
        window: Some(Window {
            slug: &link.slug,
            revision,
            state: link.state,
            start: routing.start_time,
            expire: routing.expire_time,
            pending,
        }),
        shared: partner.map(|code| shared_by(&link.sharing, code, click.facts.program.as_ref())),
        rules: if is_open { rules(link, &facts, click.facts.rule.as_ref()) } else { Vec::new() },
        draw: draw(link, click),
        fate,
    })
}

fn rules<'a>(link: &'a Link, facts: &Facts<'a>, decides: Option<&RuleId>) -> Vec<ExplainedRule<'a>> {
    let mut is_decided = false;
    // A rule that may have matched leaves open which one behind it decides: only one that is sure to ends it.
    let mut may_be_decided = false;
    let mut explained = Vec::new();
    let mut teller = Teller::new(facts, |part| possible(part, facts).truths);
    for rule in &link.routing.rules {
        if !rule.enabled {
            explained.push(ExplainedRule { id: &rule.id, standing: Standing::Disabled, when: None });
            continue;
        }
        let is_recorded = decides == Some(&rule.id);
        let (verdict, when) = teller.tell(&rule.when, is_recorded);
        let standing = match standing(verdict, is_decided) {
            Standing::Decides if may_be_decided => Standing::NotKept,
            other @ (Standing::Decides
            | Standing::DoesNotMatch
            | Standing::Unknown
            | Standing::NotAsked
            | Standing::NotKept
            | Standing::Disabled) => other,
        };
        is_decided |= verdict == Verdict::True;
        may_be_decided |= verdict == Verdict::NotKept;
        explained.push(ExplainedRule { id: &rule.id, standing, when });
    }
    explained
}

fn draw<'a>(link: &'a Link, click: &LoggedClick) -> Option<Draw<'a>> {
    let rule = link.routing.rules.iter().find(|rule| click.facts.rule.as_ref() == Some(&rule.id))?;
    let Outcome::Variants(variants) = &rule.then else { return None };
    let chosen = variants.as_slice().iter().find(|variant| click.facts.variant.as_ref() == Some(&variant.id));
    Some(Draw { by: DrawnBy::NotKept, variants, chosen })
}
