//! What ends a command before it is done.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::signal::unix::{SignalKind, signal};

/// Waits for the work, or for a signal, or for the time that it may take; then drops it, which
/// undoes what it began.
///
/// # Errors
///
/// The work's; and one that says what stopped it.
pub async fn unless_stopped<T>(
    timeout: Option<Duration>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        result = work => result,
        _ = terminate.recv() => bail!("terminated"),
        _ = interrupt.recv() => bail!("interrupted"),
        () = elapsed(timeout) => bail!("the command took longer than --command-timeout allows"),
    }
}

/// Returns after that time; never, if it is zero or not given.
pub async fn elapsed(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) if !timeout.is_zero() => tokio::time::sleep(timeout).await,
        _ => std::future::pending().await,
    }
}
