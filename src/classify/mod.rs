//! Turns raw request facts into visit attributes.
