//! Where rules lead.

use super::*;
use crate::domain::variant::{Variant, Variants, Weight};

#[test]
fn repeated_destinations_are_told_together() {
    let mut link = of(&[device("mobile"), device("tv"), device("tablet"), device("console")]);
    let to = |text: &str| Outcome::Destination(Destination::parse(text).unwrap());
    link.routing.rules[0].then = to("x");
    // The leading `/` may be left out.
    link.routing.rules[2].then = to("/x");
    link.routing.rules[3].then = to("/");
    let report = analyse(&Analysis { thorough: true, ..ask(&link, &shop()) });
    let told = told(&link, &report);
    assert_eq!(told[..2], ["RepeatedDestination a c", "RepeatedDestination d"]);
}

/// Variants `a`, `b`, … with these destinations and weights.
fn variants(of: &[(&str, i64)]) -> Outcome {
    let variant = |(id, (to, weight)): (char, &(&str, i64))| Variant {
        id: id.to_string().try_into().unwrap(),
        destination: Destination::parse(to).unwrap(),
        weight: Weight::parse(*weight).unwrap(),
    };
    Outcome::Variants(Variants::new(('a'..).zip(of).map(variant).collect()).unwrap())
}

fn about_variants(link: &Link) -> Vec<String> {
    let report = analyse(&Analysis { thorough: true, ..ask(link, &shop()) });
    let about = [FindingKind::UnreachableVariant, FindingKind::RepeatedDestination];
    let of_variants = report.findings.iter().filter(|finding| about.contains(&finding.kind));
    of_variants.map(|it| format!("{:?} {:?} {} | {}", it.kind, it.by, it.path(), it.text)).collect()
}

#[test]
fn variants_that_nobody_gets_are_told_where_their_rule_is_reached() {
    let mut link = of(&[device("mobile"), device("mobile"), device("tv")]);
    for rule in &mut link.routing.rules[..2] {
        rule.then = variants(&[("x", 1), ("y", 0), ("z", 2)]);
    }
    assert_eq!(
        about_variants(&link)[..1],
        [
            "UnreachableVariant [] rules[0].variants.items[1].weight | nobody gets the variant `b` of rule `a`: its weight is 0"
        ]
    );
    assert_eq!(about_variants(&link).iter().filter(|text| text.starts_with("Unreachable")).count(), 1);
    // A write does not ask: that is how variants are ended.
    link.routing.rules.remove(1);
    assert_eq!(told(&link, &analyse(&ask(&link, &shop()))), [""; 0]);
}

#[test]
fn variants_that_lead_to_the_same_place_are_told() {
    let mut link = of(&[device("mobile"), device("tv"), device("tablet")]);
    link.routing.rules[0].then = variants(&[("x", 1), ("y", 1), ("x", 3), ("y", 0)]);
    // All who get anything of the second go where those of the third do.
    link.routing.rules[1].then = variants(&[("z", 0), ("tablet", 1)]);
    link.routing.rules[2].then = Outcome::Destination(Destination::parse("tablet").unwrap());
    assert_eq!(
        about_variants(&link),
        [
            "UnreachableVariant [] rules[0].variants.items[3].weight | nobody gets the variant `d` of rule `a`: its weight is 0",
            "RepeatedDestination [] rules[0].variants.items[0].destination | the variants `a` and `c` of rule `a` lead to the same place",
            "UnreachableVariant [] rules[1].variants.items[0].weight | nobody gets the variant `a` of rule `b`: its weight is 0",
            "RepeatedDestination [2] rules[1].variants.items[1].destination | the rules `b` and `c` lead to the same place",
        ]
    );
}
