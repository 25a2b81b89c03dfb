//! Files that nobody names any more.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::thread::Builder;

/// Lets go of a file that has no name any more, without waiting for it: the file system may take long to free what it
/// held. One that still has a name is closed at once.
pub fn let_go(file: File) {
    if file.metadata().is_ok_and(|found| found.nlink() > 0) {
        return;
    }
    // Where no thread can be started, it is waited for.
    let _ = Builder::new().spawn(move || drop(file));
}
