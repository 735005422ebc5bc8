//! Work that would hold up a thread that has others to answer.

use super::status::Failure;

/// Does it on a thread that waits for nothing else.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::internal(&error))
}
