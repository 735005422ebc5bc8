//! What every call passes before it reaches a handler, one file each.

pub mod request_id;
