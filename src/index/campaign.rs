//! The UTM values of one answer: those of the rule, field by field over the link's, filled in as they are written.

use super::location::push_unreserved;
use crate::domain::utm::{PARAMETERS, Part, Placeholder, Template, Utm};

/// What the placeholders stand for; empty = not known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Filling<'a> {
    pub(super) partner: &'a str,
    pub(super) program: &'a str,
    pub(super) slug: &'a str,
    pub(super) rule: &'a str,
    pub(super) variant: &'a str,
    pub(super) country: &'a str,
    pub(super) device: &'a str,
    pub(super) click_id: &'a str,
}

impl<'a> Filling<'a> {
    fn of(&self, placeholder: Placeholder) -> &'a str {
        match placeholder {
            Placeholder::Partner => self.partner,
            Placeholder::Program => self.program,
            Placeholder::Slug => self.slug,
            Placeholder::Rule => self.rule,
            Placeholder::Variant => self.variant,
            Placeholder::Country => self.country,
            Placeholder::Device => self.device,
            Placeholder::ClickId => self.click_id,
        }
    }
}

/// The UTM parameters that are set.
#[derive(Debug, Default)]
pub(super) struct Campaign<'a> {
    templates: [Option<&'a Template>; PARAMETERS.len()],
    filling: Filling<'a>,
}

/// Whose UTM value it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setter {
    Link,
    Rule,
}

impl<'a> Campaign<'a> {
    /// Takes the values of link and rule. One that comes out empty is as if it were not set.
    pub(super) fn new(link: Option<&'a Utm>, rule: Option<&'a Utm>, filling: Filling<'a>) -> Self {
        let filled = |template: &&Template| !is_empty(template, &filling);
        let templates = merged(link, rule).map(|template| template.map(|(_, it)| it).filter(filled));
        Self { templates, filling }
    }

    /// Returns whether a parameter is set, counted as in [`PARAMETERS`].
    pub(super) fn sets(&self, parameter: usize) -> bool {
        self.templates[parameter].is_some()
    }

    /// Appends the encoded value of a parameter.
    pub(super) fn push(&self, parameter: usize, out: &mut String) {
        for part in self.templates[parameter].iter().flat_map(|template| template.parts()) {
            push_unreserved(out, text(part, &self.filling));
        }
    }

    /// Returns about how long the parameters will be with their names.
    pub(super) fn length(&self) -> usize {
        const NAME: usize = "&utm_campaign=".len();
        const FILLED: usize = 32;
        self.templates.iter().flatten().map(|template| NAME + template.as_str().len() + FILLED).sum()
    }
}

/// Returns the values of link and rule in the order of [`PARAMETERS`], those of the rule field by field over the link's.
pub(super) fn merged<'a>(
    link: Option<&'a Utm>,
    rule: Option<&'a Utm>,
) -> [Option<(Setter, &'a Template)>; PARAMETERS.len()] {
    let of_link = link.map_or_else(Default::default, Utm::values);
    let mut merged = of_link.map(|template| template.map(|template| (Setter::Link, template)));
    for (held, of_rule) in merged.iter_mut().zip(rule.map_or_else(Default::default, Utm::values)) {
        *held = of_rule.map(|template| (Setter::Rule, template)).or(*held);
    }
    merged
}

fn text<'a>(part: Part<'a>, filling: &Filling<'a>) -> &'a str {
    match part {
        Part::Text(text) => text,
        Part::Placeholder(placeholder) => filling.of(placeholder),
    }
}

fn is_empty(template: &Template, filling: &Filling<'_>) -> bool {
    template.parts().all(|part| text(part, filling).is_empty())
}
