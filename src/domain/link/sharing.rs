//! Whom links are shared with.

use serde::{Deserialize, Serialize};

use crate::domain::{
    fault::{Faults, Problem, Reason},
    limits,
    name::{PartnerCode, ProgramId},
};

/// Whom a link is shared with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sharing {
    /// Every partner of the shop.
    Everyone,
    /// Some partners and programs; sorted.
    Selected {
        /// Codes of partners.
        partners: Vec<PartnerCode>,
        /// Ids of programs.
        programs: Vec<ProgramId>,
    },
}

impl Sharing {
    /// Shares with these, each once.
    pub fn selected(mut partners: Vec<PartnerCode>, mut programs: Vec<ProgramId>) -> Self {
        partners.sort_unstable();
        partners.dedup();
        programs.sort_unstable();
        programs.dedup();
        Self::Selected { partners, programs }
    }

    /// Returns whether the link is shared with a partner who is in this program.
    pub fn includes(&self, partner: &PartnerCode, program: Option<&ProgramId>) -> bool {
        match self {
            Self::Everyone => true,
            Self::Selected { partners, programs } => {
                partners.binary_search(partner).is_ok()
                    || program.is_some_and(|program| programs.binary_search(program).is_ok())
            }
        }
    }

    /// Checks how many are named; paths are relative to the link.
    pub fn check(&self, faults: &mut Faults) {
        let Self::Selected { partners, programs } = self else { return };
        for (path, is, most) in [
            ("sharing.selected.partners", partners.len(), limits::SHARED_PARTNERS),
            ("sharing.selected.programs", programs.len(), limits::SHARED_PROGRAMS),
        ] {
            if is > most {
                let text = format!("the list has {is} entries, at most {most} are allowed");
                faults.add(path, Problem::new(Reason::TooLong, text));
            }
        }
    }
}
