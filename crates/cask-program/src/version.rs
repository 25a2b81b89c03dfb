//! Which name and which version a program says.
//!
//! Scripts ask a tool for its version, and do without what older ones did not have. A program that is started by the
//! name of the tool whose place it takes, through a link, says a version of that tool, whose commands it has.

use std::ffi::OsStr;
use std::path::Path;

/// A program, and the tool whose place it takes.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    name: &'static str,
    peer: &'static str,
    peer_version: &'static str,
}

/// `cellar`.
pub const CELLAR: Program =
    Program { name: "cellar", peer: "podman", peer_version: "version 4.9.4" };
/// `cooper`.
pub const COOPER: Program =
    Program { name: "cooper", peer: "buildah", peer_version: "version 1.33.7" };
/// `dray`.
pub const DRAY: Program = Program { name: "dray", peer: "skopeo", peer_version: "version 1.14.2" };

const VERSION: &str = concat!("version ", env!("CARGO_PKG_VERSION"));

impl Program {
    /// The name that it says.
    pub fn name(&self) -> &'static str {
        if self.is_called_so() { self.peer } else { self.name }
    }

    /// The word "version" and the number.
    pub fn version_words(&self) -> &'static str {
        if self.is_called_so() { self.peer_version } else { VERSION }
    }

    /// The number.
    pub fn version(&self) -> &'static str {
        self.version_words().trim_start_matches("version ")
    }

    /// Whether this process was started by the name of the tool.
    fn is_called_so(&self) -> bool {
        self.is_peer(std::env::args_os().next().as_deref())
    }

    /// Whether this, the first word of a command line, is the name of the tool.
    fn is_peer(&self, word: Option<&OsStr>) -> bool {
        word.and_then(|word| Path::new(word).file_name()).is_some_and(|name| name == self.peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_called_by_the_name_of_another_is_that() {
        let is_peer = |word: &str| CELLAR.is_peer(Some(OsStr::new(word)));
        assert!(is_peer("podman") && is_peer("/usr/local/bin/podman"));
        assert!(!is_peer("cellar") && !is_peer("/podman/cellar") && !is_peer("buildah"));
        assert!(!CELLAR.is_peer(None));
        assert_eq!((DRAY.name(), DRAY.version()), ("dray", env!("CARGO_PKG_VERSION")));
    }
}
