//! Work that blocks, from asynchronous code.

use crate::{Error, ErrorKind, Result};

/// Runs work that reads files, hashes or compresses on the runtime's blocking pool.
///
/// # Errors
/// What the work returns; `Io` if the runtime shuts down meanwhile.
///
/// # Panics
/// If the work does.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::new(ErrorKind::Io, "waiting for a thread", "")
                .with_detail("the runtime is shutting down")),
        },
    }
}
