//! The monitor's part: a thread that checks again and again while the container runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use cask_runtime::Signal;

use super::super::{Container, Containers, Status};
use super::HealthAction;

/// A thread that checks a container. Dropped, it ends.
pub(in crate::containers) struct Watch {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// It was stopped here, and shall begin again.
    again: Arc<AtomicBool>,
}

impl Watch {
    /// Begins to check, where the container has a check.
    pub(in crate::containers) fn start(containers: &Containers, container: &Container) -> Self {
        let again = Arc::new(AtomicBool::new(false));
        let health = &container.config.health;
        let interval = health.interval.unwrap_or_default();
        if !health.is_checked() || interval.is_zero() {
            return Self { stop: None, thread: None, again };
        }
        let (stop, stopped) = channel();
        let (containers, container) = (containers.clone(), container.clone());
        let told = again.clone();
        let thread =
            std::thread::spawn(move || check(&containers, &container, interval, &stopped, &told));
        Self { stop: Some(stop), thread: Some(thread), again }
    }

    /// Ends it; says whether the container shall begin again.
    pub(in crate::containers) fn end(mut self) -> bool {
        self.join();
        self.again.load(Ordering::SeqCst)
    }

    fn join(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // One that failed has nothing more to say.
            let _ = thread.join();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.join();
    }
}

fn check(
    containers: &Containers,
    container: &Container,
    interval: Duration,
    stopped: &Receiver<()>,
    again: &AtomicBool,
) {
    loop {
        let Ok(fresh) = containers.reload(container) else { return };
        // A paused one is not asked, and one that has ended cannot be.
        if fresh.state.status == Status::Running {
            let action = containers.check_once(&fresh).map_or(HealthAction::None, |(_, one)| one);
            again.store(action == HealthAction::Restart, Ordering::SeqCst);
            if act(&fresh, action, stopped) {
                return;
            }
        }
        if stopped.recv_timeout(interval) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// Does what is to be done to a container that is not healthy; `true` where it is over.
///
/// This is the container's own monitor: it cannot wait for that.
fn act(container: &Container, action: HealthAction, stopped: &Receiver<()>) -> bool {
    let Ok(process) = container.process() else { return true };
    let signal = match action {
        HealthAction::None => return false,
        HealthAction::Kill => Signal::KILL,
        HealthAction::Restart | HealthAction::Stop => container.stop_signal(),
    };
    if action == HealthAction::Stop {
        let Ok(held) = container.place.lock() else { return true };
        if let Ok((config, mut state)) = container.place.load_as_written() {
            (state.stopped, state.stopping) = (true, true);
            let _ = container.place.save(&config, &state);
        }
        drop(held);
    }
    let _ = process.signal(signal);
    let patience = Duration::from_secs(u64::from(container.stop_timeout()));
    if signal != Signal::KILL && stopped.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
        let _ = process.signal(Signal::KILL);
    }
    true
}
