//! mounts.conf: files of this machine that every container is given copies of.

use std::path::{Path, PathBuf};

use cask_runtime::GivenFile;

use crate::{report, rootless};

/// Where the file is, the administrator's before that of the distribution.
///
/// Source: containers-mounts.conf(5).
const USUAL: [&str; 2] = ["/etc/containers/mounts.conf", "/usr/share/containers/mounts.conf"];

/// What the first file that is there says: the one that is named, or else a user's own, the administrator's or that of
/// the distribution. Where there is none, nothing.
/// One that cannot be read is said, and is as if it were empty.
pub fn load(named: Option<&Path>) -> Vec<GivenFile> {
    let files = match named {
        Some(named) => vec![named.to_owned()],
        None => usual(),
    };
    for file in files {
        match std::fs::read_to_string(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                report::note(&format!("reading {}: {error}", file.display()));
                return Vec::new();
            }
            Ok(text) => return GivenFile::parse(&text),
        }
    }
    Vec::new()
}

fn usual() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty() && rootless::is_rootless());
    let own = home.map(|home| PathBuf::from(home).join(".config/containers/mounts.conf"));
    own.into_iter().chain(USUAL.map(PathBuf::from)).collect()
}
