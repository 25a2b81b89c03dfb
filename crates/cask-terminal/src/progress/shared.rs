//! The display as programs hold it: shared between threads, with a clock.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::bars::Bars;
use super::core::{Core, View};
use super::event::Event;
use super::frame::Size;
use super::mode::Mode;

/// How often the bars are drawn.
const TICK: Duration = Duration::from_millis(100);

struct Shared {
    core: Mutex<Core>,
    start: Instant,
}

impl Shared {
    /// A thread that panicked while it held the display has not broken it: each change is whole.
    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A progress display, which ends when this is dropped.
///
/// See the [module](crate::progress) for what it looks like.
pub struct Progress {
    shared: Arc<Shared>,
}

/// Sends events to a [`Progress`]. Copies are cheap; after the end of the display they do nothing.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Progress {
    /// Shows progress on standard error.
    ///
    /// With [`Mode::Auto`], bars are drawn if that is a terminal. A program that finds `TERM=dumb`
    /// or `CI` in its environment passes [`Mode::Plain`].
    #[must_use]
    pub fn stderr(mode: Mode) -> Self {
        let stderr = std::io::stderr();
        let view = match mode {
            Mode::Auto if stderr.is_terminal() => View::Bars(Bars::new(Box::new(terminal_size))),
            Mode::Auto | Mode::Plain => View::Plain,
            Mode::Json => View::Json,
            Mode::None => View::None,
        };
        Self::start(view, Box::new(stderr))
    }

    /// Writes progress elsewhere, where there is no terminal: [`Mode::Auto`] is [`Mode::Plain`].
    #[must_use]
    pub fn to_writer(mode: Mode, writer: impl Write + Send + 'static) -> Self {
        let view = match mode {
            Mode::Auto | Mode::Plain => View::Plain,
            Mode::Json => View::Json,
            Mode::None => View::None,
        };
        Self::start(view, Box::new(writer))
    }

    fn start(view: View, writer: Box<dyn Write + Send>) -> Self {
        let core = Core::new(view, writer);
        let ticks = core.has_bars();
        let shared = Arc::new(Shared { core: Mutex::new(core), start: Instant::now() });
        if ticks {
            tick_in_background(&shared);
        }
        Self { shared }
    }

    /// A handle to send events with.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle { shared: self.shared.clone() }
    }

    /// Ends the display: its last state stays on the screen, the cursor below it. Dropping does
    /// the same.
    pub fn finish(self) {}
}

impl Drop for Progress {
    fn drop(&mut self) {
        let now = self.shared.start.elapsed();
        self.shared.lock().close(now);
    }
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Progress").finish_non_exhaustive()
    }
}

impl Handle {
    /// Reports an event.
    pub fn event(&self, event: Event) {
        let now = self.shared.start.elapsed();
        self.shared.lock().event(event, now);
    }

    /// Draws what is to be drawn now, so that whoever else writes to the terminal writes below it. If
    /// no task runs nothing is drawn over that.
    pub fn flush(&self) {
        let now = self.shared.start.elapsed();
        self.shared.lock().tick(now);
    }

    /// Prints a line of a log without tearing the bars. Works after the end of the display too.
    ///
    /// The line must be fit for a terminal: it is printed as it is.
    pub fn log(&self, line: &str) {
        let now = self.shared.start.elapsed();
        self.shared.lock().log(line.trim_end_matches('\n'), now);
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Handle").finish_non_exhaustive()
    }
}

/// Draws until the display ends. If no thread can be had, lines still appear; bars move with them.
fn tick_in_background(shared: &Arc<Shared>) {
    let display = Arc::downgrade(shared);
    let ticking = move || {
        loop {
            std::thread::sleep(TICK);
            let Some(shared) = display.upgrade() else { return };
            let now = shared.start.elapsed();
            let mut core = shared.lock();
            if core.is_closed() {
                return;
            }
            core.tick(now);
        }
    };
    let _ = std::thread::Builder::new().name("progress".to_owned()).spawn(ticking);
}

fn terminal_size() -> Size {
    // A terminal that does not know its size says zero.
    let known = |count: u16, otherwise: usize| if count == 0 { otherwise } else { count.into() };
    match rustix::termios::tcgetwinsize(std::io::stderr()) {
        Ok(size) => Size { columns: known(size.ws_col, 80), rows: known(size.ws_row, 24) },
        Err(_) => Size { columns: 80, rows: 24 },
    }
}
