//! Campaign parameters, line by line of the small print.

use smartlinks::domain::{
    client::{DeviceClass, UserAgent},
    condition::{Condition, Predicate},
    fact::Fact,
    geo::Country,
    policy::{QueryConflict, QueryPass},
};

use super::world::{Ask, World, click_id, rule, utm};

const BASE: &str = "https://shop.example/s";

fn link(values: &[(&str, &str)]) -> World {
    World::to("/s").utm(values)
}

/// A condition that holds in the European Union; [`in_eu`] is a visit that it holds for.
fn eu() -> Condition {
    Condition::Is(Predicate::InEu {})
}

fn in_eu() -> Ask {
    Ask { country: Fact::Known(Country::parse("DE").unwrap()), ..Ask::default() }
}

#[test]
fn l23_order_is_fixed_and_after_the_visitors_query() {
    let all = link(&[
        ("id", "6"),
        ("term", "4"),
        ("source", "1"),
        ("content", "5"),
        ("medium", "2"),
        ("campaign", "3"),
    ]);
    assert_eq!(
        all.location("utm_id=x&a=1&utm_source=y"),
        format!("{BASE}?a=1&utm_source=1&utm_medium=2&utm_campaign=3&utm_term=4&utm_content=5&utm_id=6")
    );
}

#[test]
fn l23_those_of_the_link_remove_every_other_of_their_name() {
    let world = World::to("/s?utm_source=d&x=1&utm_medium=d").utm(&[("source", "l")]);
    assert_eq!(world.location("utm%5Fsource=v&y=2"), format!("{BASE}?x=1&utm_medium=d&y=2&utm_source=l"));
    assert_eq!(world.location("UTM_SOURCE=v"), format!("{BASE}?x=1&utm_medium=d&UTM_SOURCE=v&utm_source=l"));
    for conflict in [QueryConflict::DestinationWins, QueryConflict::VisitorWins, QueryConflict::Append] {
        let world = world.clone().on_conflict(conflict);
        assert_eq!(
            world.location("utm_source=v"),
            format!("{BASE}?x=1&utm_medium=d&utm_source=l"),
            "{conflict:?}"
        );
    }
}

#[test]
fn l24_override_ranks_three_sources() {
    let locations = |conflict| {
        let world = |to: &str| World::to(to).utm(&[("source", "l")]).overridden("utm_source", conflict);
        [
            world("/s?utm_source=d").location("utm_source=v"),
            world("/s?utm_source=d").location(""),
            world("/s").location("utm_source=v"),
            world("/s").location(""),
        ]
        .map(|location| location[BASE.len()..].replace("utm_source", "u"))
    };
    assert_eq!(locations(QueryConflict::DestinationWins), ["?u=d", "?u=d", "?u=l", "?u=l"]);
    assert_eq!(locations(QueryConflict::VisitorWins), ["?u=v", "?u=l", "?u=v", "?u=l"]);
    assert_eq!(locations(QueryConflict::Append), ["?u=d&u=v&u=l", "?u=d&u=l", "?u=v&u=l", "?u=l"]);
}

#[test]
fn l22_l24_visitor_wins_only_with_what_passes() {
    let world = link(&[("source", "l")]).overridden("utm_source", QueryConflict::VisitorWins);
    let world = world.policy(|policy| policy.pass = QueryPass::None);
    assert_eq!(world.location("utm_source=v"), format!("{BASE}?utm_source=l"));
}

#[test]
fn l25_rule_goes_over_the_link_field_by_field() {
    let world = link(&[("source", "link"), ("medium", "link"), ("term", "link")]).with(|world| {
        let mut eu = rule("eu", eu());
        eu.utm = utm(&[("source", "rule"), ("medium", ""), ("content", "rule")]);
        world.routing.rules.push(eu);
    });
    assert_eq!(
        world.answer(&in_eu()).location,
        "https://shop.example/eu?utm_source=rule&utm_term=link&utm_content=rule"
    );
    assert_eq!(world.location(""), format!("{BASE}?utm_source=link&utm_medium=link&utm_term=link"));
}

#[test]
fn l26_only_unreserved_characters_stay() {
    assert_eq!(
        link(&[("source", "aZ09-._~ +&=#%/é'*()!\"")]).location(""),
        format!("{BASE}?utm_source=aZ09-._~%20%2B%26%3D%23%25%2F%C3%A9%27%2A%28%29%21%22")
    );
}

#[test]
fn l28_l29_l32_l50_placeholders_are_filled() {
    let world = World::to("/s").with(|world| world.shop.click_id_param = None).rule("eu", eu()).utm(&[
        ("source", "{partner}.{program}"),
        ("medium", "{slug}/{rule}/{variant}"),
        ("campaign", "{country}-{device}"),
        ("id", "{click_id}"),
    ]);
    let agent = UserAgent { device: Fact::Known(DeviceClass::Mobile), ..UserAgent::default() };
    let ask = Ask { partner: "ANNIE".into(), agent, ..in_eu() }.click();
    assert_eq!(
        world.answer(&ask).location,
        format!(
            "https://shop.example/eu?utm_source=anna.gold&utm_medium=sale%2Feu%2F&utm_campaign=DE-mobile&utm_id={}&ref=anna",
            click_id()
        )
    );
}

#[test]
fn l30_l31_value_that_is_empty_altogether_is_not_set_and_displaces_nothing() {
    let world = link(&[("source", "c-{country}"), ("medium", "{country}{device}{program}"), ("term", "")]);
    assert_eq!(
        world.location("utm_medium=v&utm_term=w&utm_source=x"),
        format!("{BASE}?utm_medium=v&utm_term=w&utm_source=c-")
    );
    let world = World::to("/s?utm_medium=d").utm(&[("medium", "{partner}")]);
    assert_eq!(world.location("utm_medium=v"), format!("{BASE}?utm_medium=d"));
    assert_eq!(world.answer(&Ask::partner("ben")).location, format!("{BASE}?utm_medium=ben&ref=ben"));
}

#[test]
fn link_without_rules_match_has_no_rule_name() {
    assert_eq!(link(&[("term", "{rule}")]).rule("eu", eu()).location(""), BASE);
}
