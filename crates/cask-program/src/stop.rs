//! What ends a command before it is done.

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::report;

/// How long a commit is waited for after the command was told to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long what was given up is waited for, which takes away what it has made: whoever waits for a
/// disk or a lock is left behind.
const LEAVING: Duration = Duration::from_secs(2);

/// How many commits run in this process.
static COMMITS: LazyLock<watch::Sender<usize>> = LazyLock::new(|| watch::Sender::new(0));

/// Says that something is about to become visible: a command that is told to end waits for it, so
/// that it can say whether it has.
pub fn commit_begins() {
    COMMITS.send_modify(|running| *running += 1);
}

/// Says that what [`commit_begins`] said is over.
pub fn commit_ends() {
    COMMITS.send_modify(|running| *running = running.saturating_sub(1));
}

/// Does the work as [`unless_stopped`] has it, on this runtime, which ends with it: at once if the work is done, and
/// within two seconds if it is not, whatever its threads wait for.
///
/// # Errors
///
/// As [`unless_stopped`].
pub fn run<T>(
    runtime: Runtime,
    timeout: Option<Duration>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let done = runtime.block_on(unless_stopped(timeout, work));
    if done.is_err() {
        runtime.shutdown_timeout(LEAVING);
    }
    done
}

/// Waits for the work, or for a signal, or for the time that it may take; then drops it, which
/// undoes what it began. If something is just becoming visible, it waits for that before, at most
/// 30 seconds and unless it is told once more: then the work may still succeed.
///
/// # Errors
///
/// The work's; and one that says what stopped it.
pub async fn unless_stopped<T>(
    timeout: Option<Duration>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let mut signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut work = std::pin::pin!(work);
    let reason = tokio::select! {
        result = &mut work => return result,
        reason = told(&mut signals) => reason,
        () = elapsed(timeout) => "the command took longer than --command-timeout allows",
    };
    let mut commits = COMMITS.subscribe();
    if *commits.borrow() > 0 {
        report::note(
            "it is just becoming visible, which is waited for; stop it once more to end at once",
        );
    }
    tokio::select! {
        biased;
        // It cannot end without the work going on: the work comes first.
        result = &mut work, if *COMMITS.borrow() > 0 => return result,
        _ = commits.wait_for(|running| *running == 0) => {}
        _ = told(&mut signals) => {}
        () = tokio::time::sleep(PATIENCE) => {}
    }
    bail!(reason)
}

async fn told((terminate, interrupt): &mut (Signal, Signal)) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "terminated",
        _ = interrupt.recv() => "interrupted",
    }
}

/// Returns after that time; never, if it is zero or not given.
pub async fn elapsed(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) if !timeout.is_zero() => tokio::time::sleep(timeout).await,
        _ => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Option<Duration> = Some(Duration::from_millis(20));

    #[tokio::test]
    async fn a_commit_is_waited_for_and_nothing_else() {
        let long = || tokio::time::sleep(Duration::from_millis(200));
        let committing = async {
            commit_begins();
            long().await;
            commit_ends();
            Ok("it is there")
        };
        assert_eq!(unless_stopped(SHORT, committing).await.unwrap(), "it is there");

        let more = async {
            commit_begins();
            long().await;
            commit_ends();
            std::future::pending().await
        };
        let stopped: Result<()> = unless_stopped(SHORT, more).await;
        assert!(stopped.unwrap_err().to_string().contains("--command-timeout"));

        let working = async {
            long().await;
            Ok(())
        };
        unless_stopped(SHORT, working).await.unwrap_err();
    }
}
