//! What is good to know of rules that are reached, and of those visits that no rule takes.

use super::{
    Analysis, Finding,
    formula::{Bound, Formula},
    judge::Court,
    model::Model,
    steps::{Spent, Steps},
    subject::{Subject, Test},
    texts::Texts,
};
use crate::domain::{link::Sharing, visitor::VisitorMode};

/// Cells of a choice beyond which nobody wants to read which of them go to the default destination.
const MOST_CELLS: usize = 64;

/// Formulas to ask with.
pub(super) struct Hints {
    /// The time has not passed.
    not_passed: Formula,
    /// The choices of the time.
    times: Vec<u32>,
    lacks: Vec<Lack>,
    classes: Vec<Class>,
}

/// A fact that is not there.
struct Lack {
    is_missing: Formula,
    /// The choices that hang on it.
    choices: Vec<u32>,
    /// What it is and why.
    why: String,
}

/// The cells of a choice, one formula for each.
struct Class {
    choice: usize,
    cells: Vec<Formula>,
}

/// Cells of a choice such that every visit with one of them goes to the default destination.
pub(super) struct Fallen {
    pub(super) choice: usize,
    pub(super) cells: Vec<usize>,
    /// One of these visits.
    pub(super) example: Vec<usize>,
}

impl Hints {
    pub(super) fn new(ask: &Analysis<'_>, model: &mut Model<'_>) -> Self {
        let not_passed = model.ask(Test::NotPassed, Bound::True);
        let times = model.choices_of(Test::NotPassed).collect();
        let lacks = lacking(ask, model);
        let classes = if ask.thorough { classes(model) } else { Vec::new() };
        Self { not_passed, times, lacks, classes }
    }

    /// Finds what keeps a rule from being true that could be, as far as the steps last.
    pub(super) fn of_rule<'m>(
        &'m self,
        place: usize,
        court: &mut Court<'m, '_>,
        texts: &Texts<'_>,
        found: &mut Vec<Finding>,
        steps: &mut Steps,
    ) -> Result<(), Spent> {
        let entry = &court.entries[place];
        let is_true = &entry.is_true;
        if entry.names(&self.times) && !court.may_be([is_true, &self.not_passed], steps)? {
            found.push(texts.passed(place));
        }
        let mut lacks = Vec::new();
        for lack in &self.lacks {
            steps.take(lack.choices.len())?;
            lacks.extend(entry.names(&lack.choices).then_some(lack));
        }
        let mut needed = Vec::new();
        for lack in &lacks {
            if !court.may_be([is_true, &lack.is_missing], steps)? {
                needed.push(lack.why.as_str());
            }
        }
        if !needed.is_empty() {
            found.push(texts.needs(place, &needed));
        } else if lacks.len() > 1 && !without(is_true, &lacks, court, steps)? {
            // Those that are not needed for it say nothing.
            for at in (0..lacks.len()).rev() {
                let mut fewer = lacks.clone();
                fewer.remove(at);
                if !without(is_true, &fewer, court, steps)? {
                    lacks = fewer;
                }
            }
            let any: Vec<&str> = lacks.iter().map(|lack| lack.why.as_str()).collect();
            found.push(texts.needs_any(place, &any));
        }
        Ok(())
    }

    /// Finds the values with which every visit goes to the default destination, as far as the steps last.
    pub(super) fn classes<'m>(
        &'m self,
        court: &mut Court<'m, '_>,
        found: &mut Vec<Fallen>,
        steps: &mut Steps,
    ) -> Result<(), Spent> {
        for class in &self.classes {
            found.extend(fallen(class, court, steps)?);
        }
        Ok(())
    }
}

/// Returns whether a rule may be true where all of this is missing.
fn without<'m>(
    is_true: &'m Formula,
    lacks: &[&'m Lack],
    court: &mut Court<'m, '_>,
    steps: &mut Steps,
) -> Result<bool, Spent> {
    let missing = lacks.iter().map(|lack| &lack.is_missing);
    court.may_be(std::iter::once(is_true).chain(missing), steps)
}

fn fallen<'m>(
    class: &'m Class,
    court: &mut Court<'m, '_>,
    steps: &mut Steps,
) -> Result<Option<Fallen>, Spent> {
    let entries = court.entries;
    let mut cells = Vec::new();
    for (at, cell) in class.cells.iter().enumerate() {
        let mut is_taken = false;
        for entry in entries {
            is_taken = is_taken || court.may_be([cell, &entry.is_true], steps)?;
        }
        if !is_taken {
            cells.push(at);
        }
    }
    // Where it is so of every value, this attribute is not what decides.
    let Some(first) = cells.first().filter(|_| cells.len() < class.cells.len()) else { return Ok(None) };
    let example = court.example([&class.cells[*first]], steps)?;
    Ok(example.map(|example| Fallen { choice: class.choice, cells, example }))
}

/// Returns what the link looks at and what cannot be had here.
fn lacking(ask: &Analysis<'_>, model: &Model<'_>) -> Vec<Lack> {
    let mut lacks = Vec::new();
    let mut seen = Vec::new();
    for choice in &model.choices {
        let subject = choice.subject;
        if seen.contains(&subject) {
            continue;
        }
        seen.push(subject);
        if let Some(why) = why_lacking(subject, ask) {
            let hang =
                |other: Subject<'_>| other == subject || subject == Subject::Partner && of_partner(other);
            let choices = (0..).zip(&model.choices);
            let choices = choices.filter(|(_, choice)| hang(choice.subject)).map(|(at, _)| at).collect();
            let is_missing = model.ask(Test::Missing(subject), Bound::True);
            lacks.push(Lack { is_missing, choices, why });
        }
    }
    lacks
}

/// Returns whether there is something to look at only with a partner.
fn of_partner(subject: Subject<'_>) -> bool {
    matches!(subject, Subject::Program | Subject::PartnerTags | Subject::PartnerTotalVisits)
}

fn why_lacking(subject: Subject<'_>, ask: &Analysis<'_>) -> Option<String> {
    match subject {
        Subject::Country if !ask.countries => Some(
            "the country, and this server has no country database: it is known only of callers that say it"
                .into(),
        ),
        Subject::VisitorTotalVisits => match ask.shop.visitor_mode {
            VisitorMode::Cookie => None,
            mode @ (VisitorMode::None | VisitorMode::Daily) => Some(format!(
                "how often the visitor has come, and the shop's visitor mode is `{}`: it is known only of callers that \
                 say it",
                mode.as_str(),
            )),
        },
        Subject::Caller(name) if ask.thorough => {
            Some(format!("the fact `{name}`, which clicks of browsers do not carry, only callers send it"))
        }
        Subject::Partner if ask.link.sharing == Sharing::selected(Vec::new(), Vec::new()) => {
            Some("a credited partner, and the link is shared with nobody".into())
        }
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
        | Subject::PartnerTags
        | Subject::LinkTotalVisits
        | Subject::PartnerTotalVisits
        | Subject::Query(_)
        | Subject::Caller(_) => None,
    }
}

fn classes(model: &mut Model<'_>) -> Vec<Class> {
    let is_class = |choice: &super::model::Choice<'_>| {
        let by_itself = match choice.subject {
            Subject::Country
            | Subject::Device
            | Subject::Os
            | Subject::Browser
            | Subject::Language
            | Subject::ReferrerHost
            | Subject::ClientAddress
            | Subject::Traffic
            | Subject::Partner
            | Subject::Program
            | Subject::VisitorTotalVisits
            | Subject::LinkTotalVisits
            | Subject::PartnerTotalVisits => true,
            Subject::Time
            | Subject::OsVersion
            | Subject::BrowserVersion
            | Subject::PartnerTags
            | Subject::Query(_)
            | Subject::Caller(_) => false,
        };
        by_itself && choice.cells.len() <= MOST_CELLS
    };
    let chosen: Vec<(usize, usize)> = model
        .choices
        .iter()
        .enumerate()
        .filter(|(_, choice)| is_class(choice))
        .map(|(at, choice)| (at, choice.cells.len()))
        .collect();
    let formulas = |(choice, count): (usize, usize)| {
        let cells = (0..count).map(|cell| model.cells(choice, |at| at == cell)).collect();
        Class { choice, cells }
    };
    chosen.into_iter().map(formulas).collect()
}
