//! The index: everything that resolving a visit needs, in memory, at one revision.
//!
//! A [`Writer`] makes [`Snapshot`]s from [`Record`]s; [`Snapshot::resolve`] is a function of snapshot and visit, and of
//! nothing else: no clock, no I/O, no chance.

pub mod analysis;
mod campaign;
mod comparison;
mod compile;
mod counted;
mod credit;
mod explain;
mod facts;
mod intern;
mod location;
mod matcher;
mod own;
mod record;
mod recorded;
pub mod replay;
mod resolve;
mod shortlist;
mod snapshot;
mod split;
mod writer;

pub use counted::{CountedShop, Counting};
pub use credit::NamedBy;
pub use explain::{
    ClickExplanation, Credit, Draw, DrawnBy, ExplainedRule, Explanation, Met, Node, Part, PendingPublish,
    SharedBy, Standing, Step, Told, Verdict, Window, explain_click,
};
pub use location::Fate;
pub use matcher::{Look, Seen, Subject};
pub use record::{Broken, Counts, PartnerState, PendingLink, Record};
pub use resolve::Asked;
pub use snapshot::Snapshot;
pub use writer::Writer;
