use super::*;
use crate::proto::{
    Condition, CountryIs, Everyone, Link, QueryOverride, QueryPolicy, Rule, Selected, Sharing, Utm,
    condition::Kind as Predicate, rule::Then, sharing::With,
};

fn country(code: &str) -> Option<Condition> {
    Some(Condition { kind: Some(Predicate::Country(CountryIs { codes: vec![code.to_owned()] })) })
}

fn rule(id: &str) -> Rule {
    let then = Some(Then::Destination(format!("to/{id}")));
    Rule { id: id.to_owned(), when: country("DE"), then, enabled: Some(true), ..Rule::default() }
}

fn rules(ids: &str) -> Link {
    Link { rules: ids.chars().map(|id| rule(&id.to_string())).collect(), ..Link::default() }
}

fn differences(old: &Link, new: &Link) -> Vec<(String, What)> {
    let comparable = |link| Comparable::of("smartlinks.v1.Link", link).unwrap();
    let found = comparable(new).since(&comparable(old));
    found.into_iter().map(|Difference { path, what }| (path, what)).collect()
}

fn paths(old: &Link, new: &Link) -> Vec<String> {
    differences(old, new).into_iter().map(|(path, _)| path).collect()
}

fn changed(path: &str, old: &str, new: &str) -> (String, What) {
    (path.to_owned(), What::Changed(old.to_owned(), new.to_owned()))
}

fn added(path: &str, new: &str) -> (String, What) {
    (path.to_owned(), What::Added(new.to_owned()))
}

fn removed(path: &str, old: &str) -> (String, What) {
    (path.to_owned(), What::Removed(old.to_owned()))
}

#[test]
fn fields_that_differ_are_told_with_both_values() {
    let old = Link { default_destination: "a".into(), redirect: 0, ..Link::default() };
    let new = Link { default_destination: String::new(), redirect: 3, is_default: true, ..Link::default() };
    let told = [
        changed("default_destination", "\"a\"", "\"\""),
        changed("redirect", "\"REDIRECT_KIND_UNSPECIFIED\"", "\"REDIRECT_KIND_TEMPORARY_REDIRECT\""),
        changed("is_default", "false", "true"),
    ];
    assert_eq!(differences(&old, &new), told);
    assert_eq!(differences(&old, &old), []);
}

#[test]
fn field_that_can_be_unset_is_added_and_removed() {
    let old = Link { expired_destination: Some(String::new()), ..Link::default() };
    let utm = Some(Utm { source: Some("x".into()), ..Utm::default() });
    let start_time = Some(prost_types::Timestamp { seconds: 0, nanos: 0 });
    let new = Link { utm, start_time, ..Link::default() };
    let told = [
        added("utm", "{\"source\":\"x\"}"),
        added("start_time", "\"1970-01-01T00:00:00Z\""),
        removed("expired_destination", "\"\""),
    ];
    assert_eq!(differences(&old, &new), told);
    let utm = Some(Utm { source: Some("y".into()), term: Some("z".into()), ..Utm::default() });
    let newer = Link { utm, ..new.clone() };
    assert_eq!(
        differences(&new, &newer),
        [changed("utm.source", "\"x\"", "\"y\""), added("utm.term", "\"z\"")]
    );
}

#[test]
fn sharing_is_told_by_name() {
    let everyone =
        Link { sharing: Some(Sharing { with: Some(With::Everyone(Everyone {})) }), ..Link::default() };
    let selected = |partners: &[&str]| {
        let partners = partners.iter().map(|code| (*code).to_owned()).collect();
        let with = Some(With::Selected(Selected { partners, programs: vec!["gold".into()] }));
        Link { sharing: Some(Sharing { with }), ..Link::default() }
    };
    assert_eq!(paths(&everyone, &selected(&["anna"])), ["sharing.everyone", "sharing.selected"]);
    let told = [
        removed("sharing.selected.partners[anna]", "\"anna\""),
        added("sharing.selected.partners[bob]", "\"bob\""),
    ];
    assert_eq!(differences(&selected(&["anna", "cleo"]), &selected(&["cleo", "bob"])), told);
}

#[test]
fn rules_are_known_by_their_ids() {
    let (old, mut new) = (rules("abc"), rules("abxc"));
    new.rules[1].when = country("FR");
    new.rules[3].enabled = Some(false);
    assert_eq!(paths(&old, &new), ["rules[b].when", "rules[x]", "rules[c].enabled"]);
    assert_eq!(paths(&new, &old), ["rules[b].when", "rules[c].enabled", "rules[x]"]);
}

#[test]
fn as_few_rules_as_possible_are_said_to_have_moved() {
    let moved = |path: &str, from, to| (path.to_owned(), What::Moved(from, to));
    assert_eq!(differences(&rules("abcd"), &rules("dabc")), [moved("rules[d]", 3, 0)]);
    assert_eq!(differences(&rules("abcd"), &rules("bcda")), [moved("rules[a]", 0, 3)]);
    assert_eq!(paths(&rules("abcd"), &rules("abd")), ["rules[c]"]);
    assert_eq!(paths(&rules("ab"), &rules("xab")), ["rules[x]"]);
    assert_eq!(differences(&rules("abcde"), &rules("eabdc")).len(), 2);
}

#[test]
fn longest_growing_row_is_as_long_as_it_can_be() {
    // All orders of six numbers, against every choice of them.
    let mut orders = vec![Vec::new()];
    for number in 0..6 {
        orders = orders
            .into_iter()
            .flat_map(|order: Vec<usize>| {
                (0..=order.len()).map(move |at| [&order[..at], &[number], &order[at..]].concat())
            })
            .collect();
    }
    for order in orders {
        let grows = growing(&order);
        let row: Vec<_> = (0..6).filter(|&at| grows[at]).map(|at| order[at]).collect();
        assert!(row.is_sorted(), "{order:?}");
        let choices = (0_usize..64).filter(|choice| {
            let row: Vec<_> = (0..6).filter(|at| choice & (1 << at) != 0).map(|at| order[at]).collect();
            row.is_sorted()
        });
        let longest = choices.map(usize::count_ones).max().unwrap();
        assert_eq!(u32::try_from(row.len()).unwrap(), longest, "{order:?}");
    }
}

#[test]
fn entries_are_known_by_their_names_where_they_have_no_id() {
    let policy = |wins: &[(&str, i32)]| {
        let overrides = wins
            .iter()
            .map(|(name, winner)| QueryOverride { name: (*name).to_owned(), on_conflict: *winner });
        let query_policy = Some(QueryPolicy { overrides: overrides.collect(), ..QueryPolicy::default() });
        Link { query_policy, ..Link::default() }
    };
    assert_eq!(
        paths(&policy(&[("q", 1), ("lang", 1)]), &policy(&[("q", 2), ("lang", 1)])),
        ["query_policy.overrides[q].on_conflict"]
    );
}
