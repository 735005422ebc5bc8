//! Variants: several destinations of one rule, each for a share of its visitors.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{
    destination::Destination,
    fault::{Faults, Problem, Reason},
    limits,
    name::VariantId,
};

/// What a variant gets of the visitors: its weight among the weights of all. 0 gets nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Weight(u16);

impl Weight {
    /// Takes a number from 0 to 10,000.
    pub fn parse(number: i64) -> Result<Self, Problem> {
        let most = limits::VARIANT_WEIGHT;
        u16::try_from(number).ok().filter(|weight| *weight <= most).map(Self).ok_or_else(|| {
            let text = format!("the weight {number} is not a whole number from 0 to {most}");
            Problem::new(Reason::OutOfRange, text)
        })
    }

    /// Returns the number.
    pub fn number(self) -> u16 {
        self.0
    }
}

impl TryFrom<i64> for Weight {
    type Error = Problem;

    fn try_from(number: i64) -> Result<Self, Problem> {
        Self::parse(number)
    }
}

impl From<Weight> for i64 {
    fn from(weight: Weight) -> i64 {
        weight.0.into()
    }
}

/// One of several destinations of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Variant {
    /// Its id.
    pub id: VariantId,
    /// Where its visitors go.
    pub destination: Destination,
    /// Its share.
    pub weight: Weight,
}

/// The variants of a rule: 2 to 20 with different ids, at least one of which gets visitors.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<Variant>", into = "Vec<Variant>")]
pub struct Variants(Box<[Variant]>);

impl Variants {
    /// Takes variants in the order in which they are shown; paths of faults are relative to the message that holds them.
    pub fn new(items: Vec<Variant>) -> Result<Self, Faults> {
        let mut faults = Faults::new();
        let (is, most) = (items.len(), limits::VARIANTS);
        if is < 2 {
            let text = "a rule has two variants or more; write a rule with one as a destination";
            faults.add("items", Problem::new(Reason::Required, text));
        } else if is > most {
            let text = format!("there are {is} variants, at most {most} are allowed");
            faults.add("items", Problem::new(Reason::TooLong, text));
        } else if items.iter().all(|variant| variant.weight.number() == 0) {
            let text = "all weights are 0: nobody would go anywhere; give a variant a weight";
            faults.add("items", Problem::new(Reason::OutOfRange, text));
        }
        let mut seen = HashSet::new();
        for (at, variant) in items.iter().enumerate().take(most) {
            if !seen.insert(&variant.id) {
                let text = format!("the variant id `{}` stands twice", variant.id);
                faults.add(format!("items[{at}].id"), Problem::new(Reason::Duplicate, text));
            }
        }
        let is_sound = faults.is_empty();
        faults.finish(is_sound.then(|| Self(items.into())))
    }

    /// Returns them in the order in which they are shown.
    pub fn as_slice(&self) -> &[Variant] {
        &self.0
    }

    /// Returns the sum of the weights, which is not 0.
    pub fn total_weight(&self) -> u32 {
        self.0.iter().map(|variant| u32::from(variant.weight.number())).sum()
    }
}

impl TryFrom<Vec<Variant>> for Variants {
    type Error = Faults;

    fn try_from(items: Vec<Variant>) -> Result<Self, Faults> {
        Self::new(items)
    }
}

impl From<Variants> for Vec<Variant> {
    fn from(variants: Variants) -> Self {
        variants.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variant(id: &str, weight: i64) -> Variant {
        Variant {
            id: VariantId::parse(id).unwrap(),
            destination: Destination::parse("/s").unwrap(),
            weight: Weight::parse(weight).unwrap(),
        }
    }

    fn paths(items: Vec<Variant>) -> Vec<String> {
        let faults = Variants::new(items).err().unwrap_or_default();
        faults.iter().map(|fault| fault.path.clone()).collect()
    }

    #[test]
    fn weights_are_whole_numbers_up_to_ten_thousand() {
        for good in [0, 1, 10_000] {
            assert_eq!(i64::from(Weight::parse(good).unwrap()), good);
        }
        for bad in [-1, 10_001, 65_536, 65_537, i64::MAX, i64::MIN] {
            assert_eq!(Weight::parse(bad).unwrap_err().reason, Reason::OutOfRange, "{bad}");
        }
    }

    #[test]
    fn variants_are_two_to_twenty_and_somebody_gets_visitors() {
        assert_eq!(paths(vec![]), ["items"]);
        assert_eq!(paths(vec![variant("a", 1)]), ["items"]);
        assert_eq!(paths(vec![variant("a", 0), variant("b", 0)]), ["items"]);
        assert_eq!(paths(vec![variant("a", 1), variant("b", 0)]), [""; 0]);
        let many = |count: usize| (0..count).map(|at| variant(&format!("v{at}"), 1)).collect();
        assert_eq!(paths(many(20)), [""; 0]);
        assert_eq!(paths(many(21)), ["items"]);
        assert_eq!(paths(vec![variant("a", 1), variant("b", 1), variant("a", 2)]), ["items[2].id"]);
    }

    #[test]
    fn stored_form_is_checked_when_it_is_read() {
        let stored =
            r#"[{"id":"a","destination":"/a","weight":70},{"id":"b","destination":"/b","weight":30}]"#;
        let variants: Variants = serde_json::from_str(stored).unwrap();
        assert_eq!(serde_json::to_string(&variants).unwrap(), stored);
        assert_eq!(variants.total_weight(), 100);
        for bad in ["[]", &stored.replace("\"b\"", "\"a\""), &stored.replace("30", "-30")] {
            assert!(serde_json::from_str::<Variants>(bad).is_err(), "{bad}");
        }
    }
}
