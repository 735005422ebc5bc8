//! Programs and the partners in them.

use serde::{Deserialize, Serialize};

use super::{
    fault::{Faults, Problem, Reason},
    limits,
    name::{DisplayName, PartnerCode, ProgramId, ShopId, Tag},
};

/// A program of a shop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// The shop.
    pub shop: ShopId,
    /// Its id.
    pub id: ProgramId,
    /// What people read.
    pub display_name: DisplayName,
}

/// A partner of a shop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partner {
    /// The shop.
    pub shop: ShopId,
    /// The code in its URLs.
    pub code: PartnerCode,
    /// Older codes that still work.
    pub aliases: Vec<PartnerCode>,
    /// What people read.
    pub display_name: DisplayName,
    /// The program that it is in.
    pub program: Option<ProgramId>,
    /// Free words for rules.
    pub tags: Vec<Tag>,
    /// Whether it is credited.
    pub active: bool,
}

impl Partner {
    /// Checks what one field alone cannot tell; paths are relative to the partner.
    pub fn check(&self) -> Faults {
        let mut faults = Faults::new();
        if self.aliases.len() > limits::ALIASES {
            let text =
                format!("there are {} aliases, at most {} are allowed", self.aliases.len(), limits::ALIASES);
            faults.add("aliases", Problem::new(Reason::TooLong, text));
            return faults;
        }
        for (at, alias) in self.aliases.iter().enumerate() {
            if *alias == self.code || self.aliases[..at].contains(alias) {
                let text = format!("the code `{alias}` stands twice");
                faults.add(format!("aliases[{at}]"), Problem::new(Reason::Duplicate, text));
            }
        }
        check_tags(&self.tags, &mut faults);
        faults
    }
}

/// Checks the number of tags and that none stands twice; paths begin with `tags`.
pub fn check_tags(tags: &[Tag], faults: &mut Faults) {
    if tags.len() > limits::TAGS {
        let text = format!("there are {} tags, at most {} are allowed", tags.len(), limits::TAGS);
        faults.add("tags", Problem::new(Reason::TooLong, text));
        return;
    }
    for (at, tag) in tags.iter().enumerate() {
        if tags[..at].contains(tag) {
            faults.add(
                format!("tags[{at}]"),
                Problem::new(Reason::Duplicate, format!("the tag `{tag}` stands twice")),
            );
        }
    }
}
