//! Findings of small links.
