//! What tests share.

use std::path::PathBuf;

/// The folder of recorded stores, or `None` where there is none.
pub(super) fn dumps() -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("CASK_CASES").map(PathBuf::from) else {
        assert!(std::env::var_os("CI").is_none(), "CASK_CASES must be set where CI is");
        eprintln!("CASK_CASES is not set: the recorded stores are not tested");
        return None;
    };
    Some(folder.join("../store-dumps"))
}
