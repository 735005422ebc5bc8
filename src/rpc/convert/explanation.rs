//! Explanations; where facts come from is told by whoever asked for them.

use jiff::Timestamp;

use super::{choice::Choice, condition, link, time};
use crate::{
    domain::{click::LoggedClick, link::LinkState, variant::Variant, visit::Attribution},
    index::{
        ClickExplanation, Credit, Draw, DrawnBy, ExplainedRule, Explanation, Fate, Look, NamedBy, Node, Part,
        Seen, SharedBy, Standing, Step, Subject, Told, Verdict, Window, replay,
    },
    proto,
};

/// Where a fact comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Where.
    pub from: proto::FactOrigin,
    /// Why it is not known; may be empty.
    pub note: &'static str,
    /// When the country database was built that was asked.
    pub geo_built_at: Option<Timestamp>,
}

impl Origin {
    /// Says where a fact comes from, and nothing else.
    pub fn plain(from: proto::FactOrigin) -> Self {
        Self { from, note: "", geo_built_at: None }
    }

    /// Says why it is not known.
    pub fn because(self, note: &'static str) -> Self {
        Self { note, ..self }
    }

    /// The same, if it is not known.
    pub fn because_unless(self, is_known: bool, note: &'static str) -> Self {
        if is_known { self } else { self.because(note) }
    }
}

/// Writes an explanation; `origin` tells where a fact comes from.
pub fn write(explanation: &Explanation<'_>, origin: &impl Fn(&Look<'_>) -> Origin) -> proto::Explanation {
    let Explanation { time: at, resolution, traffic_why, window, credit, rules, draw, destination, steps } =
        explanation;
    proto::Explanation {
        visit_time: Some(time::write(*at)),
        traffic_class: resolution.traffic.number(),
        traffic_reason: traffic_why.to_string(),
        visitor_mode: resolution.visitor_mode.number(),
        link: window.as_ref().map(|window| write_window(window, *at)),
        credit: Some(write_credit(credit, resolution.attribution)),
        rules: rules.iter().map(|rule| write_rule(rule, origin)).collect(),
        draw: draw.as_ref().map(write_draw),
        destination: destination.clone(),
        location_steps: steps.iter().map(write_step).collect(),
    }
}

/// Writes the explanation of a recorded click.
pub fn write_click(explanation: &ClickExplanation<'_>, click: &LoggedClick) -> proto::Explanation {
    let ClickExplanation { window, shared, rules, draw, fate } = explanation;
    let (at, facts) = (click.id.time(), &click.facts);
    let origin = |look: &Look<'_>| Origin {
        from: proto::FactOrigin::Click,
        note: if look.seen == Seen::NotKept { "the click does not keep it" } else { "" },
        geo_built_at: None,
    };
    let partner = facts.partner.as_ref().map(ToString::to_string).unwrap_or_default();
    let (sharing, program) = write_shared(shared.as_ref());
    let credited = facts.attribution == Some(Attribution::Credited);
    let reason = match facts.attribution {
        Some(Attribution::Credited) if facts.partner.is_none() => {
            "a partner was credited whose code the click does not keep any more"
        }
        Some(attribution) => why(attribution, window.is_some()),
        None => "",
    };
    proto::Explanation {
        visit_time: Some(time::write(at)),
        traffic_class: facts.traffic.map_or(0, Choice::number),
        traffic_reason: click.traffic_why.clone(),
        visitor_mode: 0,
        link: window.as_ref().map(|window| write_window(window, at)),
        credit: Some(proto::ExplainedCredit {
            named_by: proto::PartnerNamedBy::Click.into(),
            partner,
            sharing: sharing.into(),
            program: program.to_owned(),
            credited,
            reason: reason.to_owned(),
            ..proto::ExplainedCredit::default()
        }),
        rules: rules.iter().map(|rule| write_rule(rule, &origin)).collect(),
        draw: draw.as_ref().map(write_draw),
        destination: match fate {
            replay::Fate::To(end) => end.destination.clone(),
            replay::Fate::Unjudged { .. } => String::new(),
        },
        location_steps: Vec::new(),
    }
}

fn write_window(window: &Window<'_>, at: Timestamp) -> proto::ExplainedLink {
    let Window { slug, revision, state, start, expire, pending } = window;
    let reason = match state {
        LinkState::Deleted => "the link is deleted",
        LinkState::Paused => "the link is paused",
        LinkState::Active if start.is_some_and(|start| at < start) => "the link has not started",
        LinkState::Active if expire.is_some_and(|expire| at >= expire) => "the link has expired",
        LinkState::Active => "",
    };
    proto::ExplainedLink {
        slug: slug.to_string(),
        state: link::write_state(*state).into(),
        asked: reason.is_empty(),
        reason: reason.to_owned(),
        start_time: start.map(time::write),
        expire_time: expire.map(time::write),
        revision: revision.0,
        publish: pending.map_or(0, |publish| publish.revision.0),
        publish_effective_time: pending.map(|publish| time::write(publish.effective_time)),
        publish_answers: pending.is_some_and(|publish| at >= publish.effective_time),
    }
}

fn write_credit(credit: &Credit<'_>, attribution: Attribution) -> proto::ExplainedCredit {
    let Credit { named, partner, shared } = credit;
    let (named_by, parameter, named) = match named {
        None => (proto::PartnerNamedBy::Unspecified, "", ""),
        Some((NamedBy::Path, named)) => (proto::PartnerNamedBy::Path, "", &**named),
        Some((NamedBy::Parameter(parameter), named)) => {
            (proto::PartnerNamedBy::Parameter, parameter.as_str(), &**named)
        }
    };
    let (sharing, program) = write_shared(shared.as_ref());
    proto::ExplainedCredit {
        named_by: named_by.into(),
        parameter: parameter.to_owned(),
        named: named.to_owned(),
        partner: partner.map(ToString::to_string).unwrap_or_default(),
        sharing: sharing.into(),
        program: program.to_owned(),
        credited: attribution == Attribution::Credited,
        reason: why(attribution, shared.is_some()).to_owned(),
    }
}

/// Returns the decision, and the program by which the link is shared.
fn write_shared<'a>(shared: Option<&SharedBy<'a>>) -> (proto::SharingDecision, &'a str) {
    match shared {
        None => (proto::SharingDecision::Unspecified, ""),
        Some(SharedBy::Everyone) => (proto::SharingDecision::Everyone, ""),
        Some(SharedBy::Code) => (proto::SharingDecision::Partner, ""),
        Some(SharedBy::Program(program)) => (proto::SharingDecision::Program, program.as_str()),
        Some(SharedBy::Nothing) => (proto::SharingDecision::NotShared, ""),
    }
}

/// Says in words why a partner is credited, or nobody is.
fn why(attribution: Attribution, has_link: bool) -> &'static str {
    match attribution {
        Attribution::Credited => "the partner is active, and the link is shared with it",
        Attribution::NoPartner => "neither path nor query names a partner",
        Attribution::UnknownPartner => "the shop has no partner with this code or alias",
        Attribution::InactivePartner => "the partner is not active",
        Attribution::NotShared if has_link => "the link is not shared with the partner or its program",
        Attribution::NotShared => "there is no link that could be shared with the partner",
    }
}

fn write_rule(rule: &ExplainedRule<'_>, origin: &impl Fn(&Look<'_>) -> Origin) -> proto::ExplainedRule {
    let standing = match rule.standing {
        Standing::Decides => proto::RuleStanding::Decides,
        Standing::DoesNotMatch => proto::RuleStanding::DoesNotMatch,
        Standing::Unknown => proto::RuleStanding::Unknown,
        Standing::NotAsked => proto::RuleStanding::NotAsked,
        Standing::NotKept => proto::RuleStanding::NotKept,
        Standing::Disabled => proto::RuleStanding::Disabled,
    };
    proto::ExplainedRule {
        rule_id: rule.id.to_string(),
        standing: standing.into(),
        when: rule.when.as_ref().map(|when| write_node(when, "when".to_owned(), origin)),
        when_left_out: rule.when.is_none() && rule.standing != Standing::Disabled,
    }
}

fn write_node(
    node: &Node<'_>,
    path: String,
    origin: &impl Fn(&Look<'_>) -> Origin,
) -> proto::ExplainedCondition {
    let group = |members: &[Node<'_>], kind: &str| {
        let members = members.iter().enumerate();
        members.map(|(at, member)| write_node(member, format!("{path}.{kind}[{at}]"), origin)).collect()
    };
    let (test, facts, members) = match &node.told {
        Told::All(members) => (None, Vec::new(), group(members, "all")),
        Told::Any(members) => (None, Vec::new(), group(members, "any")),
        Told::Not(member) => (None, Vec::new(), vec![write_node(member, format!("{path}.not"), origin)]),
        Told::Test(test, looks) => {
            let facts = looks.iter().map(|look| write_look(look, origin(look))).collect();
            (Some(condition::write(test)), facts, Vec::new())
        }
    };
    let truth = match node.verdict {
        Verdict::True => proto::Truth::True,
        Verdict::False => proto::Truth::False,
        Verdict::Unknown => proto::Truth::Unknown,
        Verdict::NotKept => proto::Truth::NotKept,
    };
    proto::ExplainedCondition { path, truth: truth.into(), test, facts, members }
}

fn write_look(look: &Look<'_>, origin: Origin) -> proto::ExplainedFact {
    let (fact, name) = match look.subject {
        Subject::Device => (proto::VisitFact::Device, ""),
        Subject::Os => (proto::VisitFact::Os, ""),
        Subject::OsVersion => (proto::VisitFact::OsVersion, ""),
        Subject::Browser => (proto::VisitFact::Browser, ""),
        Subject::BrowserVersion => (proto::VisitFact::BrowserVersion, ""),
        Subject::Language => (proto::VisitFact::Language, ""),
        Subject::Country => (proto::VisitFact::Country, ""),
        Subject::ClientAddress => (proto::VisitFact::ClientAddress, ""),
        Subject::ReferrerHost => (proto::VisitFact::ReferrerHost, ""),
        Subject::Query(name) => (proto::VisitFact::QueryParameter, name),
        Subject::Traffic => (proto::VisitFact::TrafficClass, ""),
        Subject::Time => (proto::VisitFact::Time, ""),
        Subject::Partner => (proto::VisitFact::Partner, ""),
        Subject::Program => (proto::VisitFact::Program, ""),
        Subject::PartnerTags => (proto::VisitFact::PartnerTags, ""),
        Subject::VisitorTotalVisits => (proto::VisitFact::VisitorTotalVisits, ""),
        Subject::LinkTotalVisits => (proto::VisitFact::LinkTotalVisits, ""),
        Subject::PartnerTotalVisits => (proto::VisitFact::PartnerTotalVisits, ""),
        Subject::Caller(name) => (proto::VisitFact::Caller, name),
    };
    let (state, value) = match &look.seen {
        Seen::Known(value) => (proto::FactState::Known, value.clone()),
        Seen::Absent => (proto::FactState::Absent, String::new()),
        Seen::Unknown => (proto::FactState::Unknown, String::new()),
        Seen::NotKept => (proto::FactState::NotKept, String::new()),
    };
    let Origin { from, note, geo_built_at } = origin;
    let note = if look.read_as.is_empty() { note } else { look.read_as.as_str() };
    proto::ExplainedFact {
        fact: fact.into(),
        name: name.to_owned(),
        state: state.into(),
        value,
        origin: from.into(),
        note: note.to_owned(),
        geo_build_time: geo_built_at.map(time::write),
    }
}

fn write_draw(draw: &Draw<'_>) -> proto::ExplainedDraw {
    let drawn_by = match draw.by {
        DrawnBy::VisitorId => proto::DrawnBy::VisitorId,
        DrawnBy::AddressAndUserAgent => proto::DrawnBy::AddressAndUserAgent,
        DrawnBy::Address => proto::DrawnBy::Address,
        DrawnBy::UserAgent => proto::DrawnBy::UserAgent,
        DrawnBy::Nothing => proto::DrawnBy::Nothing,
        DrawnBy::NotKept => proto::DrawnBy::NotKept,
    };
    let variant = |variant: &Variant| proto::ExplainedVariant {
        variant_id: variant.id.to_string(),
        weight: variant.weight.number().into(),
        destination: variant.destination.as_str().to_owned(),
        chosen: draw.chosen.is_some_and(|chosen| chosen.id == variant.id),
    };
    let variants = draw.variants.as_slice().iter().map(variant).collect();
    proto::ExplainedDraw { drawn_by: drawn_by.into(), variants }
}

fn write_step(step: &Step<'_>) -> proto::LocationStep {
    let (part, template) = match step.part {
        Part::Origin => (proto::LocationPart::Origin, ""),
        Part::Path => (proto::LocationPart::Path, ""),
        Part::Destination => (proto::LocationPart::DestinationQuery, ""),
        Part::Visitor => (proto::LocationPart::VisitorQuery, ""),
        Part::UtmOfLink(template) => (proto::LocationPart::UtmOfLink, template.as_str()),
        Part::UtmOfRule(template) => (proto::LocationPart::UtmOfRule, template.as_str()),
        Part::Partner => (proto::LocationPart::Partner, ""),
        Part::ClickId => (proto::LocationPart::ClickId, ""),
        Part::Fragment => (proto::LocationPart::Fragment, ""),
        Part::Fallback => (proto::LocationPart::Fallback, ""),
    };
    let fate = match step.fate {
        Fate::Stays => proto::ParameterFate::Kept,
        Fate::Own => proto::ParameterFate::OwnName,
        Fate::NotPassed => proto::ParameterFate::NotPassed,
        Fate::Replaced => proto::ParameterFate::ReplacedByUtm,
        Fate::DestinationWins => proto::ParameterFate::DestinationWins,
        Fate::VisitorWins => proto::ParameterFate::VisitorWins,
        Fate::Empty => proto::ParameterFate::Empty,
    };
    proto::LocationStep {
        part: part.into(),
        parameter: step.parameter.clone(),
        template: template.to_owned(),
        written: step.written.clone(),
        fate: fate.into(),
    }
}
