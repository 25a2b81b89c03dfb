//! How a layout is opened and written.

use std::path::PathBuf;
use std::time::Duration;

use crate::ManifestCache;

/// How a layout is opened.
///
/// The default: blobs are in the layout itself, what is committed survives a power failure, locks
/// are waited for without end, and a transaction that is not committed leaves nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayoutOptions {
    /// A directory that several layouts share, with blobs at `<algorithm>/<hex>`. Blobs are
    /// written there and looked up there first, then in the layout's own `blobs`. Nothing is ever
    /// deleted there. Made by the first write if it does not exist; its parent must.
    ///
    /// Source: containers/image, `types.SystemContext.OCISharedBlobDirPath`.
    pub shared_blob_dir: Option<PathBuf>,
    /// What a commit survives.
    pub durability: Durability,
    /// How long to wait for others who write or delete. `None` waits without end; zero does not
    /// wait.
    pub lock_timeout: Option<Duration>,
    /// Whether to go on without locks where the file system has none on directories, such as NFS.
    /// Then two who write at the same time may lose each other's entries, and who deletes may
    /// delete what another is about to list.
    pub danger_without_locks: bool,
    /// Whether blobs get their final names as soon as they are finished, and stay there if the
    /// transaction is dropped or its process killed, so that a second attempt finds them. What no
    /// image needs in the end, [`Layout::collect_garbage`](crate::Layout::collect_garbage)
    /// removes.
    pub keep_finished_blobs: bool,
    /// Where to remember what manifests say of others: for programs that ask often.
    pub manifest_cache: Option<ManifestCache>,
}

/// What a commit survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Durability {
    /// A loss of power. Blobs are on the disk before they get their names, and the index is
    /// replaced only then. Writing to the disk starts early, so that the commit waits little.
    #[default]
    Power,
    /// The death of the process, not of the machine. Nothing is synchronised.
    Process,
}
