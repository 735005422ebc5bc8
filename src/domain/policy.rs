//! What of the visitor's query reaches the page.

use serde::{Deserialize, Serialize};

use super::{
    fault::{Problem, Reason},
    host::shown,
    limits,
    text::{checked_texts, length},
};

checked_texts! {
    /// The decoded name of a parameter that a policy lists: 1 to 256 bytes, no wildcard.
    PolicyParam, |text| {
        length(text, "the parameter name", limits::PARAMETER_NAME_BYTES, true)?;
        if text.contains('*') {
            let text = format!("the parameter name `{}` holds a wildcard, list each name", shown(text));
            return Err(Problem::new(Reason::Malformed, text));
        }
        Ok(())
    };
}

/// Which of the visitor's parameters pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueryPass {
    /// All of them.
    #[default]
    All,
    /// None of them.
    None,
    /// Those with these names.
    Listed(Vec<PolicyParam>),
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

/// An exception of a policy for one parameter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct QueryOverride {
    /// The parameter.
    pub name: PolicyParam,
    /// Who wins for it.
    pub on_conflict: QueryConflict,
}

/// Says which parameters pass and who wins; a link's policy replaces its shop's whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct QueryPolicy {
    /// Which parameters pass; decided first.
    pub pass: QueryPass,
    /// Who wins.
    pub on_conflict: QueryConflict,
    /// Who wins for single parameters.
    pub overrides: Vec<QueryOverride>,
}

impl QueryPolicy {
    /// Returns every name that the policy lists or overrides, with its path below the policy.
    pub fn names(&self) -> impl Iterator<Item = (String, &PolicyParam)> {
        let listed = match &self.pass {
            QueryPass::Listed(names) => names.as_slice(),
            QueryPass::All | QueryPass::None => &[],
        };
        let listed = listed.iter().enumerate().map(|(at, name)| (format!("listed[{at}]"), name));
        let overrides = self.overrides.iter().enumerate();
        listed.chain(overrides.map(|(at, exception)| (format!("overrides[{at}].name"), &exception.name)))
    }
}
