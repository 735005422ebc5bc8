//! What every call passes before it reaches a handler, one file each; from the outside in:
//!
//! 1. [`request_id`]: names the call, so that all that follows is logged under its name;
//! 2. [`metrics`]: counts how it ended, a panic included;
//! 3. [`panics`]: answers INTERNAL where a handler panicked;
//! 4. [`stopping`]: refuses what comes too late;
//! 5. [`deadline`]: gives up a little before the caller does;
//! 6. [`authentication`]: says who calls.

pub mod authentication;
pub mod deadline;
pub mod metrics;
pub mod panics;
pub mod request_id;
pub mod stopping;
