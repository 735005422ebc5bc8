//! The location, step by step.

use crate::{
    domain::{
        destination::Destination,
        utm::{PARAMETERS, Template},
    },
    index::{
        campaign::{Setter, merged},
        compile::CompiledLink,
        location::{Fate, Source},
        resolve::{Asked, Chosen},
    },
};

/// A piece of the location, or one that was left out. What is written of all of them is the location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// Where it comes from.
    pub part: Part<'a>,
    /// The parameter of a query as it came, the name of a UTM parameter; of other parts, nothing.
    pub parameter: String,
    /// What was written of it, with the mark before it; empty if it was left out.
    pub written: String,
    /// What became of it.
    pub fate: Fate,
}

/// Where a piece of a location comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// The shop's base URL, or the origin that the destination names.
    Origin,
    /// The destination.
    Path,
    /// The destination's own query.
    Destination,
    /// The visitor's query.
    Visitor,
    /// The UTM value of the link.
    UtmOfLink(&'a Template),
    /// The UTM value of the rule.
    UtmOfRule(&'a Template),
    /// The credited partner.
    Partner,
    /// The id of the click.
    ClickId,
    /// The destination's fragment.
    Fragment,
    /// The shop's fallback, as it stands.
    Fallback,
}

/// Returns what the location of a link is made of.
pub(super) fn of<'a>(asked: &Asked<'a>, link: &'a CompiledLink, chosen: &Chosen<'a>) -> Vec<Step<'a>> {
    let of_rule = chosen.rule.and_then(|rule| rule.utm.as_deref());
    let utm = merged(link.utm.as_deref(), of_rule).map(|template| {
        template.map(|(setter, template)| match setter {
            Setter::Link => Part::UtmOfLink(template),
            Setter::Rule => Part::UtmOfRule(template),
        })
    });
    let mut unseen = utm;
    let mut steps: Vec<Step<'a>> = Vec::new();
    asked.location(link, chosen, |laid| {
        let (part, parameter) = match laid.source {
            Source::Origin => (Part::Origin, ""),
            Source::Path | Source::BareMark => (Part::Path, ""),
            Source::Destination => (Part::Destination, laid.came),
            Source::Visitor => (Part::Visitor, laid.came),
            Source::Utm(at) => match unseen[at].take() {
                Some(part) => (part, PARAMETERS[at]),
                None => return,
            },
            Source::Partner => (Part::Partner, ""),
            Source::ClickId => (Part::ClickId, ""),
            Source::Fragment => (Part::Fragment, ""),
            Source::NoMark => {
                // There is one empty parameter that stayed, and nothing but its mark is written.
                if let Some(alone) = steps.iter_mut().rfind(|step| step.written == "?") {
                    (alone.written, alone.fate) = (String::new(), Fate::Empty);
                }
                return;
            }
        };
        let (parameter, written) = (parameter.to_owned(), laid.written.to_owned());
        steps.push(Step { part, parameter, written, fate: laid.fate });
    });
    let empty = unseen.into_iter().zip(PARAMETERS).filter_map(|(part, name)| {
        Some(Step { part: part?, parameter: name.to_owned(), written: String::new(), fate: Fate::Empty })
    });
    steps.extend(empty);
    steps
}

/// Returns what the location is made of where the shop's fallback answers.
pub(super) fn of_fallback<'a>(fallback: &Destination, location: &str) -> Vec<Step<'a>> {
    let (parameter, written) = (fallback.as_str().to_owned(), location.to_owned());
    vec![Step { part: Part::Fallback, parameter, written, fate: Fate::Stays }]
}
