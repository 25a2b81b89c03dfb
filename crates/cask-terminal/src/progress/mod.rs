//! Progress on standard error: bars for people, lines for logs, JSON for programs.
//!
//! A library reports what it does in events of its own; the program turns them into [`Event`]s and
//! sends them to a [`Handle`]. What becomes of them depends on the [`Mode`].
//!
//! ```
//! use cask_terminal::progress::{Event, Mode, Outcome, Progress};
//!
//! let progress = Progress::stderr(Mode::None);
//! let handle = progress.handle();
//! handle.event(Event::message("Getting image source signatures"));
//! handle.event(Event::started(1, "Copying blob sha256:e5a0…", Some(2048)));
//! handle.event(Event::advanced(1, 1024));
//! handle.event(Event::finished(1, Outcome::Done, None));
//! drop(progress); // Clears up; say what went wrong, if anything did, after this.
//! ```
//!
//! # The forms
//!
//! *Bars* are redrawn ten times a second at most, each time in one write, as wide as the terminal
//! is at that moment. The cursor waits at the start of the line below them and is never hidden, so
//! that a program that is killed leaves nothing to repair. Lines (messages, finished tasks, log
//! lines) appear above the bars and stay; what failed is shown at once, and a task that never
//! finished stays on the screen as it was.
//!
//! *Plain* prints a message as it is, a line when a task starts and one when it finishes, and for
//! a long one at most a line every five seconds in between.
//!
//! *JSON* prints one object a line:
//!
//! | `event` | keys |
//! |---|---|
//! | `message` | `text` |
//! | `started` | `task`, `label`, `total` (`null` if unknown) |
//! | `advanced` | `task`, `current`, `total`; at most two a second for one task |
//! | `finished` | `task`, `label`, `outcome` (`done`, `skipped`, `failed`), `current`, `message` |
//! | `log` | `text` |
//!
//! Each has `elapsed_ms` too, the milliseconds since the start of the program's work. Sizes are
//! bytes.

mod bars;
mod core;
mod event;
mod frame;
mod json;
mod mode;
mod plain;
mod sanitize;
mod shared;
#[cfg(test)]
mod tests;

pub use event::{Event, Outcome};
pub use mode::{Mode, UnknownMode};
pub(crate) use sanitize::sanitized;
pub use shared::{Handle, Progress};
