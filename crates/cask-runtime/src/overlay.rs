//! Overlays: mounted where they are asked for, attached where the process is.

use std::fmt::Display;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::mount::MountAttrFlags;

use crate::error::{Error, Result};
use crate::helper::make_filesystem;
use crate::mount::Overlay;

/// The map of a process that is in no user namespace.
const EVERYBODY: [&str; 3] = ["0", "0", "4294967295"];

/// A mount that is attached nowhere. The kernel wants its directories in the mount namespace of whoever mounts it, which
/// is why this process does and not its helper.
pub(crate) fn mounted(overlay: &Overlay, shown: impl Display) -> Result<OwnedFd> {
    // Through descriptors: no name has letters that mean something in the options.
    let path = |directory: &Arc<OwnedFd>| format!("/proc/self/fd/{}", directory.as_raw_fd());
    let Overlay { lower, upper, work } = overlay;
    let (lower, upper, work) = (path(lower), path(upper), path(work));
    let mut options = vec![("lowerdir", &*lower), ("upperdir", &*upper), ("workdir", &*work)];
    if is_in_user_namespace() {
        // Its own marks only root of the machine may write.
        options.push(("userxattr", ""));
    }
    make_filesystem("overlay", &options, MountAttrFlags::empty()).map_err(|error| {
        let failed = Error::io(error, "mount the overlay on", shown);
        match error {
            Errno::PERM => failed.with_hint("only root may, of the machine or of a user namespace"),
            Errno::INVAL => failed.with_hint(
                "its upper and work directories must be on one file system that can keep changes: no other overlay, no network's",
            ),
            _ => failed,
        }
    })
}

/// Source: user_namespaces(7).
fn is_in_user_namespace() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    !map.split_whitespace().eq(EVERYBODY)
}
