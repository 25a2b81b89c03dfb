//! How progress is shown.

use std::sync::Arc;

use cask::transport::EventSink;
use clap::ValueEnum;

/// How to show progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressChoice {
    /// Bars on a terminal, else plain
    Auto,
    /// A line for each step
    Plain,
    /// A JSON object for each event, on standard error
    Json,
    /// Nothing
    None,
}
pub(crate) struct Progress;
impl ProgressChoice {
    pub(crate) fn start(self, _quiet: bool) -> Progress {
        Progress
    }
}
impl Progress {
    pub(crate) fn sink(&self) -> Arc<dyn EventSink> {
        Arc::new(())
    }
    pub(crate) fn print(&self, text: &str) {
        eprint!("{text}");
    }
    pub(crate) fn finish(self) {}
}
