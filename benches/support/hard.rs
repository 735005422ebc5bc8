//! Links whose rules are hard to see through.

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use smartlinks::domain::{
    condition::{Condition, Group, ParameterName, Predicate, QueryTest, Value},
    geo::Country,
    limits,
    link::Rule,
    one_of::OneOf,
};

use super::ruled::rule_of;

/// Returns links by what they are.
pub(crate) fn links() -> Vec<(&'static str, Vec<Rule>)> {
    let mut random = StdRng::seed_from_u64(7);
    let mut links = vec![("country and campaign, one shadowed by two", countries())];
    for (name, parameters) in [
        ("three of 20 parameters, there or not", 20),
        ("three of 60 parameters, there or not", 60),
        ("three of 300 parameters, there or not", 300),
    ] {
        links.push((name, three_of(parameters, &mut random)));
    }
    links
}

fn rules(conditions: impl IntoIterator<Item = Condition>) -> Vec<Rule> {
    let conditions = conditions.into_iter().take(limits::RULES);
    conditions.zip(1..).map(|(when, number)| Rule { when, ..rule_of(0, number, false) }).collect()
}

fn all(members: Vec<Condition>) -> Condition {
    Condition::All(Group::new(members).expect("a group"))
}

fn parameter(name: &str, test: QueryTest) -> Condition {
    Condition::Is(Predicate::Query { name: ParameterName::parse(name).expect("a name"), test })
}

fn countries() -> Vec<Rule> {
    let country =
        |codes: &[Country]| Condition::Is(Predicate::Country(OneOf::new(codes.to_vec()).expect("a list")));
    let campaign = |number: usize| {
        let value = Value::parse(&format!("c{number}")).expect("a value");
        parameter("campaign", QueryTest::Equals(OneOf::new(vec![value]).expect("a list")))
    };
    let each = (0..limits::RULES - 1)
        .map(|at| all(vec![country(&Country::ALL[at % 200..][..1]), campaign(at / 200)]));
    rules(each.chain([all(vec![country(&Country::ALL[..2]), campaign(0)])]))
}

/// Rules that each want three parameters of so many to be there or not to be there.
fn three_of(parameters: usize, random: &mut StdRng) -> Vec<Rule> {
    let names: Vec<_> = (0..parameters).map(|number| format!("p{number}")).collect();
    let mut one = || {
        let three = names.sample(random, 3).cloned().collect::<Vec<_>>();
        let literals = three.iter().map(|name| {
            let there = parameter(name, QueryTest::Present);
            if random.random() { there } else { Condition::Not(Box::new(there)) }
        });
        all(literals.collect())
    };
    let conditions: Vec<_> = (0..limits::RULES).map(|_| one()).collect();
    rules(conditions)
}
