//! Conditions as formulas. What many of them ask is made once and shared.

use std::collections::HashMap;

use super::{
    collect::{tests_of, version_test},
    formula::{Bound, Formula},
    model::Model,
    steps::{Spent, Steps},
    subject::Test,
};
use crate::domain::condition::{Condition, Predicate};

/// A condition as formulas.
#[derive(Debug, Default)]
pub(super) struct Built {
    pub(super) is_true: Formula,
    pub(super) is_not: Formula,
    /// The choices that they name, in order.
    pub(super) choices: Vec<u32>,
}

/// Makes formulas, for steps: they may become larger than what they are made of by far.
pub(super) struct Builder<'m, 'a> {
    model: &'m Model<'a>,
    made: HashMap<(Test<'a>, Bound), Formula>,
}

impl<'m, 'a> Builder<'m, 'a> {
    pub(super) fn new(model: &'m Model<'a>) -> Self {
        Self { model, made: HashMap::new() }
    }

    /// Makes the formulas of a condition.
    pub(super) fn build(&mut self, condition: &'a Condition, steps: &mut Steps) -> Result<Built, Spent> {
        let is_true = self.formula(condition, Bound::True, steps)?;
        let is_not = self.formula(condition, Bound::NotTrue, steps)?;
        let mut choices = Vec::new();
        for test in tests_of(condition) {
            let named = self.model.choices_of(test);
            steps.take(named.len())?;
            choices.extend(named);
        }
        choices.sort_unstable();
        choices.dedup();
        Ok(Built { is_true, is_not, choices })
    }

    /// Returns when a condition is within a bound.
    fn formula(
        &mut self,
        condition: &'a Condition,
        bound: Bound,
        steps: &mut Steps,
    ) -> Result<Formula, Spent> {
        let mut each = |members: &'a [Condition]| {
            members.iter().map(|member| self.formula(member, bound, steps)).collect::<Result<Vec<_>, _>>()
        };
        Ok(match (condition, bound) {
            (Condition::All(group), Bound::True | Bound::NotFalse)
            | (Condition::Any(group), Bound::NotTrue | Bound::False) => Formula::all(each(group.members())?),
            (Condition::Any(group), Bound::True | Bound::NotFalse)
            | (Condition::All(group), Bound::NotTrue | Bound::False) => Formula::any(each(group.members())?),
            (Condition::Not(member), bound) => self.formula(member, bound.negated(), steps)?,
            (Condition::IsKnown(attribute), bound) => self.ask(Test::IsKnown(attribute), bound, steps)?,
            (Condition::Is(predicate), bound) => self.predicate(predicate, bound, steps)?,
        })
    }

    fn predicate(
        &mut self,
        predicate: &'a Predicate,
        bound: Bound,
        steps: &mut Steps,
    ) -> Result<Formula, Spent> {
        let holds = Test::Holds(predicate);
        let Some(version) = version_test(predicate) else { return self.ask(holds, bound, steps) };
        let mut first = |bound| self.ask(holds, bound, steps);
        // The version is looked at only where the family fits; else the answer is the family's.
        Ok(match bound {
            Bound::True => Formula::all(vec![first(Bound::True)?, self.ask(version, bound, steps)?]),
            Bound::NotTrue => Formula::any(vec![first(Bound::NotTrue)?, self.ask(version, bound, steps)?]),
            Bound::NotFalse => {
                let (family, not) = (first(Bound::NotFalse)?, first(Bound::NotTrue)?);
                Formula::all(vec![family, Formula::any(vec![not, self.ask(version, bound, steps)?])])
            }
            Bound::False => {
                let (family, not) = (first(Bound::True)?, first(Bound::False)?);
                Formula::any(vec![not, Formula::all(vec![family, self.ask(version, bound, steps)?])])
            }
        })
    }

    /// Returns when a test is within a bound.
    fn ask(&mut self, test: Test<'a>, bound: Bound, steps: &mut Steps) -> Result<Formula, Spent> {
        steps.take(1)?;
        if let Some(made) = self.made.get(&(test, bound)) {
            return Ok(made.clone());
        }
        steps.take(self.model.choices_of(test).len())?;
        let made = self.model.ask(test, bound);
        self.made.insert((test, bound), made.clone());
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::domain::{
        condition::{Group, ParameterName, QueryTest, Value},
        destination::Destination,
        link::{Outcome, Routing, Rule},
        name::RuleId,
        one_of::OneOf,
        shop::ShopSettings,
        utm::Utm,
    };

    const VALUES: usize = 40;

    /// A hundred times whether a parameter has one of many values, and of each value once.
    fn routing() -> Routing {
        let values = || (0..VALUES).map(|at| Value::parse(&format!("v{at}")).unwrap());
        let ask = |values: Vec<Value>| {
            let test = QueryTest::Equals(OneOf::new(values).unwrap());
            Condition::Is(Predicate::Query { name: ParameterName::parse("a").unwrap(), test })
        };
        let mut members = vec![ask(values().collect()); 100];
        members.extend(values().map(|value| ask(vec![value])));
        let when = Condition::All(Group::new(members).unwrap());
        let rule = Rule {
            id: RuleId::parse("a").unwrap(),
            display_name: None,
            when,
            then: Outcome::Destination(Destination::parse("a").unwrap()),
            retired_variants: Vec::new(),
            utm: Utm::default(),
            enabled: true,
        };
        Routing { rules: vec![rule], ..Routing::to(Destination::parse("").unwrap()) }
    }

    fn shop() -> ShopSettings {
        serde_json::from_value(serde_json::json!({
            "base_url": "https://shop.example",
            "link_hosts": ["go.shop.example"],
            "public_url": "https://go.shop.example",
            "partner_param": "ref",
            "click_id_param": "click_id",
        }))
        .unwrap()
    }

    #[test]
    fn what_is_asked_again_is_not_made_again() {
        let (routing, shop, mut steps) = (routing(), shop(), Steps::new(1_000_000));
        let model = Model::new(&routing, &shop, &[], Timestamp::UNIX_EPOCH, &mut steps);
        let when = &routing.rules[0].when;
        let before = steps.left();
        let built = Builder::new(&model).build(when, &mut steps).unwrap();
        let Formula::All(members) = &built.is_true else { panic!("{:?}", built.is_true) };
        let of = |formula: &Formula| match formula {
            Formula::Any(members) => Arc::clone(members),
            Formula::All(_) | Formula::In(_) => panic!("{formula:?}"),
        };
        let first = of(&members[0]);
        assert!(first.len() >= VALUES);
        assert!(members[..100].iter().all(|member| Arc::ptr_eq(&of(member), &first)));
        assert!(built.choices.len() >= VALUES);
        let made_once = (VALUES + 1) * built.choices.len() * 3;
        let spent = before - steps.left();
        assert!(spent < (made_once + 100 * VALUES) as u64, "{spent}");
    }

    #[test]
    fn formulas_are_made_for_steps() {
        let (routing, shop, mut steps) = (routing(), shop(), Steps::new(1_000_000));
        let model = Model::new(&routing, &shop, &[], Timestamp::UNIX_EPOCH, &mut steps);
        let mut few = Steps::new(100);
        assert!(Builder::new(&model).build(&routing.rules[0].when, &mut few).is_err());
        assert_eq!(few.left(), 0);
    }
}
