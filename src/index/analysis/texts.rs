//! Findings in words.

use super::{
    Finding, FindingKind, VisitFact, Witness,
    hints::Fallen,
    judge::{Court, Entry, Undecided},
    model::{Cell, Choice},
    subject::Subject,
};
use crate::domain::{fact::Fact, link::Link};

/// Rules that are named in one sentence.
const NAMED: usize = 10;

/// What findings are told of.
pub(super) struct Texts<'a> {
    pub(super) link: &'a Link,
    pub(super) entries: &'a [Entry],
}

impl Texts<'_> {
    /// Says that a rule is never reached.
    pub(super) fn never(&self, place: usize, by: &[usize], witness: Option<Witness>) -> Finding {
        let name = self.named(&[place]);
        let routing = &self.link.routing;
        let (kind, text) = match by {
            [] if routing.start_time.is_none() && routing.expire_time.is_none() => (
                FindingKind::Contradictory,
                format!("{name} is never true: its condition contradicts itself"),
            ),
            [] => (
                FindingKind::Contradictory,
                format!(
                    "{name} is never true while the link works: its condition contradicts itself or the link's own times"
                ),
            ),
            [one] => (
                FindingKind::Shadowed,
                format!(
                    "{name} is never reached: {} before it takes every visit that it is true for",
                    self.named(&[*one])
                ),
            ),
            _ => (
                FindingKind::ShadowedTogether,
                format!(
                    "{name} is never reached: {} before it together take every visit that it is true for",
                    self.named(by)
                ),
            ),
        };
        self.finding(kind, place, by, text, witness)
    }

    /// Says that something was not found out.
    pub(super) fn undecided(&self, place: Option<usize>, why: Undecided) -> Finding {
        let what = place.map_or_else(|| "the default destination".to_owned(), |place| self.named(&[place]));
        let why = match why {
            Undecided::Steps => "it would take more steps than are allowed at once",
            Undecided::Loose => "it hangs on texts or times of too many kinds",
        };
        let text = format!("whether {what} is ever reached was not decided: {why}");
        let rule = place.map(|place| self.entries[place].at);
        Finding {
            kind: FindingKind::Undecided,
            rule,
            variants: Vec::new(),
            by: Vec::new(),
            text,
            witness: None,
        }
    }

    /// Says that not everything was looked for that is good to know.
    pub(super) fn unfinished(&self, place: Option<usize>) -> Finding {
        let what = match place {
            Some(place) => format!("what {} needs", self.named(&[place])),
            None => "which visits go to the default destination".to_owned(),
        };
        let text = format!(
            "{what} was not looked for to the end: it would take more steps than are allowed at once"
        );
        let rule = place.map(|place| self.entries[place].at);
        let (variants, by) = (Vec::new(), Vec::new());
        Finding { kind: FindingKind::Unfinished, rule, variants, by, text, witness: None }
    }

    /// Says that a rule is of the past.
    pub(super) fn passed(&self, place: usize) -> Finding {
        let text = format!(
            "{} is never true any more: the times that it asks for have passed",
            self.named(&[place])
        );
        self.finding(FindingKind::PassedWindow, place, &[], text, None)
    }

    /// Says that a rule needs what is not there, all of it.
    pub(super) fn needs(&self, place: usize, needed: &[&str]) -> Finding {
        let text = format!("{} needs {}", self.named(&[place]), needed.join("; and "));
        self.finding(FindingKind::NeedsData, place, &[], text, None)
    }

    /// Says that a rule needs some of what is not there.
    pub(super) fn needs_any(&self, place: usize, needed: &[&str]) -> Finding {
        let text = format!("{} needs one of these: {}", self.named(&[place]), needed.join("; or "));
        self.finding(FindingKind::NeedsData, place, &[], text, None)
    }

    /// Says that rules, by their places in the link, lead to one place.
    pub(super) fn repeated(&self, members: &[usize], as_default: bool) -> Finding {
        let names: Vec<String> = members.iter().map(|at| self.quoted(*at)).collect();
        let text = match (names.as_slice(), as_default) {
            ([one], _) => format!("rule {one} leads where the default destination does"),
            (_, true) => format!("the rules {} lead where the default destination does", listed(&names)),
            (_, false) => format!("the rules {} lead to the same place", listed(&names)),
        };
        let (rule, by) = members.split_first().map_or((None, &[][..]), |(first, rest)| (Some(*first), rest));
        let variants = rule.map_or(&[][..], |at| self.link.routing.rules[at].then.variants());
        let got = variants.iter().enumerate().filter(|(_, variant)| variant.weight.number() > 0);
        Finding {
            kind: FindingKind::RepeatedDestination,
            rule,
            variants: got.map(|(at, _)| at).collect(),
            by: by.to_vec(),
            text,
            witness: None,
        }
    }

    /// Says that nobody gets a variant.
    pub(super) fn empty(&self, place: usize, variant: usize) -> Finding {
        let (ids, name) = (self.ids(place, &[variant]), self.named(&[place]));
        let text = format!("nobody gets the variant {} of {name}: its weight is 0", listed(&ids));
        let finding = self.finding(FindingKind::UnreachableVariant, place, &[], text, None);
        Finding { variants: vec![variant], ..finding }
    }

    /// Says that variants of a rule lead to one place.
    pub(super) fn alike(&self, place: usize, variants: Vec<usize>) -> Finding {
        let (ids, name) = (self.ids(place, &variants), self.named(&[place]));
        let text = format!("the variants {} of {name} lead to the same place", listed(&ids));
        let finding = self.finding(FindingKind::RepeatedDestination, place, &[], text, None);
        Finding { variants, ..finding }
    }

    /// Says which visits go to the default destination: whole classes, or else one of them.
    pub(super) fn falls(&self, court: &Court<'_, '_>, cells: &[usize], classes: &[Fallen]) -> Vec<Finding> {
        let finding = |text, cells: &[usize]| Finding {
            kind: FindingKind::FallsToDefault,
            rule: None,
            variants: Vec::new(),
            by: Vec::new(),
            text,
            witness: self.witness(court, cells, None).filter(|witness| witness.decided_by.is_none()),
        };
        let told = classes.iter().map(|fallen| {
            let choice = &court.model.choices[fallen.choice];
            finding(class(choice, &fallen.cells), &fallen.example)
        });
        let mut told: Vec<Finding> = told.filter(|finding| finding.witness.is_some()).collect();
        if told.is_empty() {
            let text = "visits that no rule is true for, such as this one, go to the default destination";
            told.push(finding(text.to_owned(), cells));
        }
        told
    }

    /// Says that no visit is left to the default destination.
    pub(super) fn default_unreachable(&self, by: &[usize]) -> Finding {
        let text = match by {
            [one] => {
                format!("no visit goes to the default destination: {} takes every one", self.named(&[*one]))
            }
            _ => format!(
                "no visit goes to the default destination: {} together take every one",
                self.named(by)
            ),
        };
        let by = by.iter().map(|place| self.entries[*place].at).collect();
        let kind = FindingKind::DefaultUnreachable;
        Finding { kind, rule: None, variants: Vec::new(), by, text, witness: None }
    }

    /// Shows a visit, if a request can say it and, where it is there for a rule, the rule is true of it.
    pub(super) fn witness(
        &self,
        court: &Court<'_, '_>,
        cells: &[usize],
        of: Option<usize>,
    ) -> Option<Witness> {
        let visit = court.sample(cells);
        if !visit.is_sendable() || of.is_some_and(|place| !court.fits(place, &visit)) {
            return None;
        }
        let decided_by = court.first(&visit).map(|place| self.entries[place].at);
        let asked = of.map_or(&[][..], |place| &self.entries[place].choices);
        Some(Witness { facts: facts(&court.model.choices, cells, asked), decided_by, visit })
    }

    fn finding(
        &self,
        kind: FindingKind,
        place: usize,
        by: &[usize],
        text: String,
        witness: Option<Witness>,
    ) -> Finding {
        let by = by.iter().map(|place| self.entries[*place].at).collect();
        Finding { kind, rule: Some(self.entries[place].at), variants: Vec::new(), by, text, witness }
    }

    /// Names rules: `rule x`, or `the rules x, y and z`.
    fn named(&self, places: &[usize]) -> String {
        let names: Vec<String> = places.iter().map(|place| self.quoted(self.entries[*place].at)).collect();
        match names.as_slice() {
            [one] => format!("rule {one}"),
            _ => format!("the rules {}", listed(&names)),
        }
    }

    /// Returns the names of variants of a rule.
    fn ids(&self, place: usize, variants: &[usize]) -> Vec<String> {
        let all = self.link.routing.rules[self.entries[place].at].then.variants();
        variants.iter().map(|at| format!("`{}`", all[*at].id)).collect()
    }

    fn quoted(&self, at: usize) -> String {
        format!("`{}`", self.link.routing.rules[at].id)
    }
}

/// Lists names, the first few of many.
fn listed(names: &[String]) -> String {
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() && names.len() <= NAMED => {
            format!("{} and {last}", rest.join(", "))
        }
        Some(_) if names.len() > NAMED => {
            format!("{} and {} more", names[..NAMED].join(", "), names.len() - NAMED)
        }
        Some(_) | None => names.concat(),
    }
}

/// Says that some values of an attribute lead to the default destination.
fn class(choice: &Choice<'_>, cells: &[usize]) -> String {
    let attribute = choice.cells.first().map(|cell| cell.value.fact().attribute).unwrap_or_default();
    let chosen: Vec<&Cell> = cells.iter().map(|at| &choice.cells[*at]).collect();
    let values: Vec<String> = chosen.iter().flat_map(|cell| cell.told.iter().map(said)).collect();
    let count: usize = chosen.iter().map(|cell| cell.count).sum();
    let more = match count - values.len() {
        0 => String::new(),
        more => format!(" or {more} others"),
    };
    format!("every visit with the {attribute} {}{more} goes to the default destination", values.join(", "))
}

fn said(value: &Fact<String>) -> String {
    match value {
        Fact::Known(text) => format!("`{text}`"),
        Fact::Absent => "(absent)".to_owned(),
        Fact::Unknown => "(unknown)".to_owned(),
    }
}

/// Returns what the link looks at; of parameters, tags and facts of callers those that are there or that the rule asks
/// for.
fn facts(choices: &[Choice<'_>], cells: &[usize], asked: &[u32]) -> Vec<VisitFact> {
    let mut found: Vec<VisitFact> = Vec::new();
    let mut absent: Vec<VisitFact> = Vec::new();
    for (at, (choice, cell)) in (0..).zip(choices.iter().zip(cells)) {
        let value = &choice.cells[*cell].value;
        let always = match choice.subject {
            Subject::PartnerTags | Subject::Query(_) | Subject::Caller(_) => false,
            Subject::Time
            | Subject::Country
            | Subject::Device
            | Subject::Os
            | Subject::OsVersion
            | Subject::Browser
            | Subject::BrowserVersion
            | Subject::Language
            | Subject::ReferrerHost
            | Subject::ClientAddress
            | Subject::Traffic
            | Subject::Partner
            | Subject::Program
            | Subject::VisitorTotalVisits
            | Subject::LinkTotalVisits
            | Subject::PartnerTotalVisits => true,
        };
        if always || !value.is_missing() {
            found.push(value.fact());
        } else if asked.binary_search(&at).is_ok() {
            absent.push(value.fact());
        }
    }
    for fact in absent {
        if found.iter().all(|other| other.attribute != fact.attribute) {
            found.push(fact);
        }
    }
    found
}
