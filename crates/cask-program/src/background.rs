//! Work that waits for a person, a disk or another program.

use anyhow::Result;
use tokio::sync::oneshot;

/// Does something on a thread of its own, which is left alone if nobody waits any more: so that
/// signals and deadlines end the program meanwhile.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || sender.send(work()));
    Ok(receiver.await?)
}
