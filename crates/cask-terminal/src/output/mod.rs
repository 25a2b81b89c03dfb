//! What goes to standard output.

mod stdout;

pub use stdout::{Output, OutputError, OutputErrorKind};
