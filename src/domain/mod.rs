//! The words of the service: what a link, a rule, a visit is.
