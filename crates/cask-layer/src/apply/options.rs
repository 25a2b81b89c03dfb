//! How a layer is to be applied.

use super::IdMaps;
use crate::MemberLimits;

/// How [`apply`](crate::apply) extracts a layer.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ApplyOptions {
    /// What becomes of whiteouts. Default: [`Whiteouts::Remove`].
    pub whiteouts: Whiteouts,
    /// The owners on the host. Default: the stream's.
    pub id_maps: IdMaps,
    /// Whether owners that cannot be set, or are not in the maps, are left as they come, with a
    /// warning.
    pub ignore_chown_errors: bool,
    /// The permissions that every file and directory gets, whatever its own are. What the stream says
    /// is kept in the attribute `user.containers.override_stat`, where fuse-overlayfs finds it; owners
    /// are not changed, and devices become files with that attribute.
    pub force_mask: Option<u32>,
    /// Whether this process is in a user namespace: devices are then left out, and attributes that
    /// may not be set are a warning.
    pub user_namespace: bool,
    /// Whether a member for the root itself (`./`) changes the root's owner, permissions and times.
    /// The field's tools leave the root alone, and so does the default.
    pub apply_root: bool,
    /// What a layer may cost.
    pub limits: ApplyLimits,
}

/// What becomes of the files that say what was deleted: `.wh.NAME`, and `.wh..wh..opq` for all that
/// older layers have in a directory.
///
/// Whiteouts are about *older* layers only: what the same stream brings stays, before or after.
///
/// Source: OCI image-spec, `layer.md`, "Whiteouts".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Whiteouts {
    /// The tree has the older layers in it: what they say is gone is removed.
    ///
    /// Unless the tree is empty, the names of the layer's members are held in memory for this, at
    /// about 100 bytes each.
    #[default]
    Remove,
    /// The tree is one layer of an overlay mount: character devices 0:0, and the attribute
    /// `trusted.overlay.opaque`.
    Overlay,
    /// The same with the attribute `user.overlay.opaque`, for mounts with `userxattr`.
    OverlayUser,
    /// They stay the files that they are, as fuse-overlayfs reads them.
    Keep,
}

/// What a layer may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApplyLimits {
    /// How many members. Default: 5,000,000.
    pub max_members: u64,
    /// How many bytes of payload, holes of sparse files not counted. Default: 1 TiB.
    pub max_bytes: u64,
    /// How many bytes the names of directories have together: they are held in memory until the end,
    /// when times are set. Default: 64 MiB.
    pub max_directory_name_bytes: usize,
    /// What the headers of a member may cost.
    pub members: MemberLimits,
}

impl Default for ApplyLimits {
    fn default() -> Self {
        Self {
            max_members: 5_000_000,
            max_bytes: 1 << 40,
            max_directory_name_bytes: 64 << 20,
            members: MemberLimits::default(),
        }
    }
}
