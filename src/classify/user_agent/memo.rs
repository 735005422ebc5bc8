//! memo
use crate::domain::client::UserAgent;
use std::sync::Arc;
/// x
#[derive(Default)]
pub struct UserAgents;
impl UserAgents {
    /// x
    pub fn get(&self, ua: &str) -> Arc<UserAgent> {
        Arc::new(super::parse(ua))
    }
}
