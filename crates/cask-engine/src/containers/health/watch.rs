//! The monitor's part: a thread that checks again and again while the container runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cask_runtime::Signal;

use super::super::{Container, Containers, Status, wire};
use super::HealthAction;

/// The longest pause: who waits longer looks at the clock again.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// A thread that checks a container. Dropped, it ends.
pub(in crate::containers) struct Watch {
    containers: Containers,
    container: Container,
    /// Each word is that somebody changed how the container is checked; there are no more when it has ended.
    words: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// It was stopped here, and shall begin again.
    again: Arc<AtomicBool>,
}

/// Which of both checks is due, and how often.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Rhythm {
    is_startup: bool,
    interval: Duration,
}

impl Rhythm {
    /// `None` where nothing is checked by itself.
    fn of(container: &Container) -> Option<Self> {
        let health = &container.config.health;
        if !health.is_checked() {
            return None;
        }
        let (is_startup, interval) = match container.startup_check() {
            Some(check) => (true, check.interval),
            None => (false, health.interval.unwrap_or_default()),
        };
        (!interval.is_zero()).then_some(Self { is_startup, interval })
    }
}

impl Watch {
    /// Begins to check, where the container has a check.
    pub(in crate::containers) fn start(containers: &Containers, container: &Container) -> Self {
        let (containers, container) = (containers.clone(), container.clone());
        let again = Arc::new(AtomicBool::new(false));
        let mut watch = Self { containers, container, words: None, thread: None, again };
        watch.look();
        watch
    }

    /// Somebody changed how the container is checked.
    pub(in crate::containers) fn changed(&mut self) {
        match &self.words {
            // One that has ended has done what was to be done.
            Some(words) => drop(words.send(())),
            None => self.look(),
        }
    }

    fn look(&mut self) {
        let Ok(fresh) = self.containers.reload(&self.container) else { return };
        if Rhythm::of(&fresh).is_none() {
            return;
        }
        let (sender, words) = channel();
        let (containers, container) = (self.containers.clone(), fresh);
        let again = self.again.clone();
        self.words = Some(sender);
        self.thread =
            Some(std::thread::spawn(move || check(&containers, &container, &words, &again)));
    }

    /// Ends it; says whether the container shall begin again.
    pub(in crate::containers) fn end(mut self) -> bool {
        self.join();
        self.again.load(Ordering::SeqCst)
    }

    fn join(&mut self) {
        self.words = None;
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

fn check(containers: &Containers, container: &Container, words: &Receiver<()>, again: &AtomicBool) {
    let mut due = Instant::now();
    let mut before = None;
    loop {
        let Ok(fresh) = containers.reload(container) else { return };
        let rhythm = Rhythm::of(&fresh);
        if rhythm != before {
            // What is new begins at once.
            (due, before) = (Instant::now(), rhythm);
        }
        let left = match rhythm {
            Some(_) => due.saturating_duration_since(Instant::now()).min(LONGEST_PAUSE),
            None => LONGEST_PAUSE,
        };
        if !left.is_zero() {
            match words.recv_timeout(left) {
                Err(RecvTimeoutError::Disconnected) => return,
                Ok(()) | Err(RecvTimeoutError::Timeout) => continue,
            }
        }
        // A paused one is not asked, and one that has ended cannot be.
        if fresh.state.status == Status::Running {
            let action = containers.check_once(&fresh).map_or(HealthAction::None, |(_, one)| one);
            again.store(action == HealthAction::Restart, Ordering::SeqCst);
            if act(&fresh, action, words) {
                return;
            }
        }
        let interval = rhythm.map_or(LONGEST_PAUSE, |rhythm| rhythm.interval.min(LONGEST_PAUSE));
        due = Instant::now() + interval;
    }
}

/// Does what is to be done to a container that is not healthy; `true` where it is over.
///
/// This is the container's own monitor: it cannot wait for that.
fn act(container: &Container, action: HealthAction, words: &Receiver<()>) -> bool {
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
    if signal != Signal::KILL && !ends_within(patience, words) {
        let _ = process.signal(Signal::KILL);
    }
    true
}

/// Whether the container ends within a time.
fn ends_within(patience: Duration, words: &Receiver<()>) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        match words.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(()) => {}
            Err(error) => return error == RecvTimeoutError::Disconnected,
        }
    }
}

/// How long a monitor may take to hear that something changed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Has the monitor of a container hear that how it is checked was changed. One that does not hear it knows when it
/// checks next.
pub(in crate::containers) fn tell_monitor(container: &Container) {
    use rustix::net::sockopt::{Timeout, set_socket_timeout};
    let Ok(socket) = wire::connect(&container.place.socket()) else { return };
    let patient = set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE)).is_ok();
    if !patient || !matches!(wire::send(&socket, wire::HEALTH, &[], false), Ok(true)) {
        return;
    }
    // What the container prints meanwhile comes here too.
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline
        && let Ok(Some(packet)) = wire::receive(&socket)
        && packet.kind != wire::HEALTH
    {}
}
