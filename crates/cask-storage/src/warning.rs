//! What is wrong with a store and does not keep it from working.

use std::fmt;
use std::path::{Path, PathBuf};

/// Something that a user should know, although the operation went on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// The file or directory that it is about.
    pub path: PathBuf,
    /// What is wrong and what was done: a lowercase fragment.
    pub message: String,
}

impl Warning {
    pub(crate) fn new(path: &Path, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), message: message.into() }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.message)
    }
}
