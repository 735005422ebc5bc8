//! Our conditions and visitors in the words of `a-tree`.

use a_tree::{ATree, AttributeDefinition as Attribute, Event};
use smartlinks::domain::{
    condition::{CallerTest, Condition, Group, Predicate, QueryTest},
    fact::Fact,
    link::Rule,
    one_of::OneOf,
};

use super::{Known, now};

/// Makes a tree of the rules of a link, by their numbers.
pub(crate) fn tree(rules: &[Rule]) -> ATree<usize> {
    let attributes = [
        Attribute::string("traffic"),
        Attribute::string("device"),
        Attribute::string("country"),
        Attribute::boolean("in_eu"),
        Attribute::string("os"),
        Attribute::string("browser"),
        Attribute::string("language"),
        Attribute::string_list("referrer"),
        Attribute::string("campaign"),
        Attribute::integer("time"),
        Attribute::string("partner"),
        Attribute::string("program"),
        Attribute::string_list("tags"),
        Attribute::string("tier"),
    ];
    let mut tree = ATree::new(&attributes).expect("attributes");
    for (rule, number) in rules.iter().zip(1..) {
        let text = expression(&rule.when);
        tree.insert(&number, &text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    }
    tree
}

fn expression(condition: &Condition) -> String {
    match condition {
        Condition::All(group) => joined(group, " and "),
        Condition::Any(group) => joined(group, " or "),
        Condition::Is(predicate) => test(predicate),
        Condition::Not(_) | Condition::IsKnown(_) => panic!("no rule here has it: {condition:?}"),
    }
}

fn joined(group: &Group, between: &str) -> String {
    let members: Vec<_> = group.members().iter().map(|member| format!("({})", expression(member))).collect();
    members.join(between)
}

fn list<T>(values: &OneOf<T>, name: impl Fn(&T) -> String) -> String {
    let values: Vec<_> = values.iter().map(|value| format!("'{}'", name(value))).collect();
    format!("[{}]", values.join(", "))
}

fn test(predicate: &Predicate) -> String {
    match predicate {
        Predicate::Traffic(classes) => format!("traffic in {}", list(classes, |it| it.as_str().to_owned())),
        Predicate::Device(classes) => format!("device in {}", list(classes, |it| it.as_str().to_owned())),
        Predicate::Country(codes) => format!("country in {}", list(codes, |it| it.as_str().to_owned())),
        Predicate::InEu {} => "in_eu".to_owned(),
        Predicate::Os { families, .. } => format!("os in {}", list(families, |it| it.as_str().to_owned())),
        Predicate::Browser { families, .. } => {
            format!("browser in {}", list(families, |it| it.as_str().to_owned()))
        }
        Predicate::Language(ranges) => format!("language in {}", list(ranges, ToString::to_string)),
        // With the domains above it in the event, the host itself is listed or one of them is.
        Predicate::ReferrerHost { hosts, .. } => {
            format!("referrer one of {}", list(hosts, |it| it.as_str().to_owned()))
        }
        Predicate::Query { test: QueryTest::Equals(values), .. } => {
            format!("campaign in {}", list(values, |it| it.as_str().to_owned()))
        }
        Predicate::Time(window) => match window.ends() {
            (None, Some(end)) => format!("time < {}", end.as_second()),
            ends => panic!("no rule here has it: {ends:?}"),
        },
        Predicate::Partner(codes) => format!("partner in {}", list(codes, |it| it.as_str().to_owned())),
        Predicate::Program(ids) => format!("program in {}", list(ids, |it| it.as_str().to_owned())),
        Predicate::PartnerTag(tags) => format!("tags one of {}", list(tags, |it| it.as_str().to_owned())),
        Predicate::Caller { test: CallerTest::Equals(values), .. } => {
            format!("tier in {}", list(values, |it| it.as_str().to_owned()))
        }
        other => panic!("no rule here has it: {other:?}"),
    }
}

/// Says what a visitor has: the same that the index finds out. What is not said is undefined, and fits no test.
pub(crate) fn event(tree: &ATree<usize>, known: &Known) -> Event {
    let (mut event, visitor) = (tree.make_event(), &known.visitor);
    let mut text = |name: &str, value: &str| event.with_string(name, value).expect("an attribute");
    text("traffic", "human");
    if let Fact::Known(device) = visitor.agent.device {
        text("device", device.as_str());
    }
    if let Fact::Known(os) = visitor.agent.os {
        text("os", os.as_str());
    }
    if let Fact::Known(browser) = visitor.agent.browser {
        text("browser", browser.as_str());
    }
    text("country", visitor.country.as_str());
    text("language", visitor.accept_language.split([',', '-']).next().unwrap_or_default());
    text("partner", &visitor.partner);
    text("program", &known.program);
    event.with_boolean("in_eu", visitor.country.in_eu()).expect("an attribute");
    event.with_integer("time", now().as_second()).expect("an attribute");
    event.with_string_list("tags", &["vip"]).expect("an attribute");
    let host = visitor.referer.split('/').nth(2).unwrap_or_default();
    let above = host.split_once('.').map_or("", |(_, above)| above);
    event.with_string_list("referrer", &[host, above]).expect("an attribute");
    event.build().expect("an event")
}
