//! Errors, warnings and hints on standard error, and the exit code.
//!
//! ```
//! use cask_terminal::report::{Reporter, Style};
//!
//! let source = std::io::Error::from(std::io::ErrorKind::NotFound);
//! let mut out = Vec::new();
//! Reporter::new(Style::Prefix, &mut out).error(&source, &["does the path exist?"]);
//! assert_eq!(out, b"Error: entity not found\nhint: does the path exist?\n");
//! ```

mod chain;
mod exit;
mod logrus;
mod reporter;

pub use chain::error_text;
pub use exit::Exit;
pub(crate) use logrus::log_line;
pub use reporter::{Reporter, Style};
