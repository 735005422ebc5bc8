//! The words of the service: what a shop, a link, a rule, a visit is.
//!
//! Everything here is a plain value that only a validating constructor makes: what exists is sound. A constructor takes
//! one field and returns a [`fault::Problem`]; `check` methods look at an object whole and return [`fault::Faults`] with
//! the paths of the fields.

pub mod click;
pub mod click_id;
pub mod client;
pub mod condition;
pub mod conversion;
pub mod currency;
pub mod decimal;
pub mod destination;
mod ends;
pub mod erasure;
pub mod fact;
pub mod fault;
pub mod fingerprint;
pub mod fit;
pub mod geo;
pub mod golden;
pub mod host;
pub mod language;
pub mod limits;
pub mod link;
pub mod name;
pub mod named;
pub mod one_of;
pub mod orders;
pub mod param;
pub mod partner;
pub mod policy;
pub mod query;
pub mod revision;
pub mod shop;
pub mod split;
pub mod stats;
mod text;
pub mod unkept;
pub mod utm;
pub mod variant;
pub mod visit;
pub mod visitor;
pub mod window;
