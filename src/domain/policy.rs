//! What of the visitor's query reaches the page.

use serde::{Deserialize, Serialize};

/// Which of the visitor's parameters pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueryPass {
    /// All of them.
    #[default]
    All,
    /// None of them.
    None,
    /// Those with these decoded names.
    Listed(Vec<Box<str>>),
}

/// Who wins when destination and visitor name the same parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueryConflict {
    /// The destination.
    #[default]
    DestinationWins,
    /// The visitor.
    VisitorWins,
    /// Both stay.
    Append,
}

/// Says which parameters pass and who wins; a link's policy replaces its shop's whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueryPolicy {
    /// Which parameters pass; decided first.
    pub pass: QueryPass,
    /// Who wins.
    pub on_conflict: QueryConflict,
    /// Who wins for single parameters, by decoded name.
    pub overrides: Vec<(Box<str>, QueryConflict)>,
}

impl QueryPolicy {
    /// Returns the override of the parameter with this decoded name.
    pub fn override_of(&self, name: &str) -> Option<QueryConflict> {
        self.overrides.iter().find(|(listed, _)| listed.as_ref() == name).map(|&(_, conflict)| conflict)
    }

    /// Returns who wins for the parameter with this decoded name.
    pub fn conflict_of(&self, name: &str) -> QueryConflict {
        self.override_of(name).unwrap_or(self.on_conflict)
    }

    /// Returns whether the visitor's parameter with this decoded name passes.
    pub fn passes(&self, name: &str) -> bool {
        match &self.pass {
            QueryPass::All => true,
            QueryPass::None => false,
            QueryPass::Listed(names) => names.iter().any(|listed| listed.as_ref() == name),
        }
    }

    /// Returns every name that the policy lists or overrides, with its path below the policy.
    pub fn names(&self) -> impl Iterator<Item = (String, &str)> {
        let listed = match &self.pass {
            QueryPass::Listed(names) => names.as_slice(),
            QueryPass::All | QueryPass::None => &[],
        };
        let listed = listed.iter().enumerate().map(|(at, name)| (format!("listed[{at}]"), name.as_ref()));
        let overrides = self.overrides.iter().enumerate();
        listed.chain(overrides.map(|(at, (name, _))| (format!("overrides[{at}].name"), name.as_ref())))
    }
}
