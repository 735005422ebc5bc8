//! Which links look at counters, through edits.

use smartlinks::{
    domain::{
        condition::{Attribute, Condition, CountTest, Group, Predicate},
        link::{LinkState, Routing, Rule, Sharing},
        revision::Revision,
    },
    index::{CountedShop, Counting, Record, Snapshot, Writer},
};

use super::world::{Ask, World, destination, rule, shop_id, slug};

fn link(name: &str, revision: i64, rules: Vec<Rule>) -> Record {
    Record::Link {
        shop: shop_id(),
        slug: slug(name),
        revision: Revision(revision),
        state: LinkState::Active,
        sharing: Sharing::Everyone,
        routing: Routing { rules, ..Routing::to(destination("/s")) },
        pending: None,
    }
}

fn looking(predicate: Predicate) -> Rule {
    let both = vec![Condition::Is(Predicate::InEu {}), Condition::Not(Box::new(Condition::Is(predicate)))];
    rule("looks", Condition::Any(Group::new(both).unwrap()))
}

fn of_link() -> Rule {
    looking(Predicate::LinkTotalVisits(CountTest::AtLeast(3)))
}

fn of_partner() -> Rule {
    looking(Predicate::PartnerTotalVisits(CountTest::AtMost(3)))
}

fn counted(links: &[&str], partners: bool) -> Vec<CountedShop> {
    vec![CountedShop { shop: shop_id(), links: links.iter().map(|name| slug(name)).collect(), partners }]
}

#[test]
fn edits_change_what_has_to_be_counted() {
    let mut writer = Writer::new();
    writer.apply(World::to("/s").records(), Revision(1));
    let known = |attribute| rule("known", Condition::IsKnown(attribute));
    let disabled = || Rule { enabled: false, ..of_link() };
    for (at, (name, rules, expected)) in (2..).zip([
        ("sale", vec![], vec![]),
        ("sale", vec![disabled()], vec![]),
        ("sale", vec![of_link()], counted(&["sale"], false)),
        ("b", vec![known(Attribute::LinkTotalVisits)], counted(&["b", "sale"], false)),
        ("c", vec![of_partner()], counted(&["b", "sale"], true)),
        ("c", vec![known(Attribute::PartnerTotalVisits)], counted(&["b", "sale"], true)),
        ("b", vec![of_partner()], counted(&["sale"], true)),
        ("sale", vec![disabled()], counted(&[], true)),
        ("c", vec![], counted(&[], true)),
        ("b", vec![], vec![]),
    ]) {
        let snapshot = writer.apply([link(name, at, rules)], Revision(at));
        assert_eq!(snapshot.counted(), expected, "{at}");
        let copy = Writer::new().apply(snapshot.records(), Revision(at));
        assert_eq!(copy.counted(), expected, "the copy of {at}");
    }
}

/// Says of which link and which partner a visit moves or sees the counter, and whether it moves them.
fn counting(snapshot: &Snapshot, ask: &Ask) -> Option<(bool, Option<String>, bool)> {
    ask.asked(snapshot, |asked| {
        asked.counting().map(|Counting { link, partner, counts, .. }| {
            (link.is_some(), partner.map(|code| code.as_str().to_owned()), counts)
        })
    })
}

#[test]
fn only_who_must_pays() {
    let mut writer = Writer::new();
    let plain = writer.apply(World::to("/s").records(), Revision(1));
    let click = || Ask::partner("anna").click();
    assert_eq!(counting(&plain, &click()), None);
    let other = |name: &str| Ask { slug: name.into(), ..click() };
    let anna = || Some("anna".to_owned());

    let own = writer.apply([link("own", 2, vec![of_link()])], Revision(2));
    assert_eq!(counting(&own, &click()), None);
    assert_eq!(counting(&own, &other("own")), Some((true, None, true)));
    assert_eq!(counting(&own, &Ask { click_id: None, ..other("own") }), Some((true, None, false)));
    let mut ahead = other("own");
    ahead.hints.prefetch = true;
    assert_eq!(counting(&own, &ahead), Some((true, None, false)));
    assert_eq!(counting(&own, &other("none")), None);

    // One link that looks at partners, and clicks on all links of the shop count for them.
    let partners = writer.apply([link("partners", 3, vec![of_partner()])], Revision(3));
    assert_eq!(counting(&partners, &click()), Some((false, anna(), true)));
    assert_eq!(counting(&partners, &other("own")), Some((true, anna(), true)));
    assert_eq!(counting(&partners, &Ask { partner: "who".into(), ..click() }), Some((false, None, true)));
    assert_eq!(counting(&partners, &other("none")), None);
}
